import { useCallback, useEffect, useState } from "react";
import { type Failure, failureOf } from "../api/errors";
import { GroupChanged, GroupQuery } from "../api/groups";
import { useKept } from "../api/kept";
import { RolloutChanged } from "../api/rollouts";
import { useStream } from "../live/stream";
import { ended, type Group, latest, type Rollout } from "./rollout";

/** Orders and rollouts of other people are not in the group's stream: they are asked for. */
const POLL_MS = 5_000;

export interface LiveGroup {
  /** Undefined while loading, null when there is no such group. */
  group: Group | null | undefined;
  customer: { id: string; name: string } | null;
  ordered: number;
  rollout: Rollout | null;
  failure: Failure | null;
  /** Tries again what failed. */
  retry: () => void;
  /** Asks anew for what the streams do not bring. */
  refetch: () => void;
  /** Tells of a rollout that a mutation brought. */
  report: (rollout: Rollout) => void;
}

export function useGroup(id: string): LiveGroup {
  const [{ data, error }, execute] = useKept({
    query: GroupQuery,
    variables: { id },
    requestPolicy: "cache-and-network",
  });
  const stream = useStream(GroupChanged, { id });
  const [reported, setReported] = useState<Rollout | null>(null);

  const refetch = useCallback(() => execute({ requestPolicy: "network-only" }), [execute]);
  useEffect(() => {
    const timer = setInterval(() => {
      if (document.visibilityState === "visible") refetch();
    }, POLL_MS);
    return () => clearInterval(timer);
  }, [refetch]);

  const fetched = data?.tmrGroup;
  const group = stream.value?.tmrGroupChanged.tmrGroup ?? fetched;
  const known = latest([
    group?.rollout,
    fetched?.rollout,
    fetched?.rollouts.edges?.[0]?.node,
    group ? reported : null,
  ]);
  const followed = known && !ended(known) ? known.id : undefined;
  const changes = useStream(RolloutChanged, followed ? { id: followed } : undefined, {
    endsByItself: true,
  });
  const change = changes.value?.rolloutChanged.rollout;

  // The last report stays when the stream's subject ends and the stream with it.
  useEffect(() => {
    if (change) setReported((before) => latest([before, change]));
  }, [change]);

  const refused = stream.failure ?? changes.failure;
  // A stream that flows is left alone: starting it anew would leave a hole in it.
  const retry = () => {
    refetch();
    if (stream.failure) stream.retry();
    if (changes.failure) changes.retry();
  };
  return {
    group: group ?? (data ? null : undefined),
    customer: fetched?.customer ?? null,
    ordered: Math.max(group?.orderedQuantity ?? 0, fetched?.orderedQuantity ?? 0),
    rollout: latest([known, change]),
    failure: error ? failureOf(error) : refused,
    retry,
    refetch,
    report: setReported,
  };
}
