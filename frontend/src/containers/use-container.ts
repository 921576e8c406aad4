import { useCallback, useEffect, useState } from "react";
import { ContainerDetailsQuery } from "../api/containers";
import { type Failure, failureOf } from "../api/errors";
import { useKept } from "../api/kept";
import { RolloutChanged } from "../api/rollouts";
import type { ContainerDetailsQuery as Result, RolloutFieldsFragment } from "../gql/graphql";
import { useStream } from "../live/stream";
import { ended, latest } from "../tmr/rollout";

export type Details = NonNullable<Result["container"]>;

/** A container has no stream of its own: it is asked for. */
const POLL_MS = 5_000;

export interface LiveContainer {
  /** Undefined while loading, null when there is no such container. */
  container: Details | null | undefined;
  /** The newest rollout, running or ended. */
  rollout: RolloutFieldsFragment | null;
  failure: Failure | null;
  refetch: () => void;
  report: (rollout: RolloutFieldsFragment) => void;
}

export function useContainer(serial: string): LiveContainer {
  const [{ data, error }, execute] = useKept({
    query: ContainerDetailsQuery,
    variables: { serial },
    requestPolicy: "cache-and-network",
  });
  const [reported, setReported] = useState<RolloutFieldsFragment | null>(null);
  const refetch = useCallback(() => execute({ requestPolicy: "network-only" }), [execute]);
  useEffect(() => {
    const timer = setInterval(() => {
      if (document.visibilityState === "visible") refetch();
    }, POLL_MS);
    return () => clearInterval(timer);
  }, [refetch]);

  const container = data?.container;
  const fetched = (container?.rollouts.edges ?? []).map((edge) => edge?.node);
  const known = latest([container?.rollout, ...fetched, container ? reported : null]);
  const followed = known && !ended(known) ? known.id : undefined;
  const changes = useStream(RolloutChanged, followed ? { id: followed } : undefined, {
    endsByItself: true,
  });
  const change = changes.value?.rolloutChanged.rollout;
  useEffect(() => {
    if (!change) return;
    setReported((before) => latest([before, change]));
    if (ended(change)) refetch(); // what the container holds has changed with it
  }, [change, refetch]);

  return {
    container: container ?? (data ? null : undefined),
    rollout: latest([known, change]),
    failure: error ? failureOf(error) : null,
    refetch,
    report: setReported,
  };
}
