import { useCallback, useEffect, useState } from "react";
import { type Failure, failureOf } from "../api/errors";
import { useKept } from "../api/kept";
import { RulesQuery } from "../api/rules";
import type { RulesQuery as Result } from "../gql/graphql";
import type { RuleSet } from "./model";

type Group = NonNullable<NonNullable<Result["container"]>["tmrGroup"]>;

/** What the rules are of; exactly one of the ids is there, as the API wants it. */
export interface RulesPlace {
  serial: string;
  ids: { tmrGroup: string } | { container: string };
  group: { id: string; name: string } | null;
  customer: { id: string; name: string } | null;
  servers: Group["servers"];
}

/** Others save rules too, and servers fetch them: nothing tells of it. */
const POLL_MS = 10_000;

function placeOf(container: Result["container"]): RulesPlace | null {
  if (!container) return null;
  const group = container.tmrGroup ?? null;
  return group
    ? {
        serial: group.virtualSerial,
        ids: { tmrGroup: group.id },
        group,
        customer: group.customer ?? null,
        servers: group.servers,
      }
    : {
        serial: container.serial,
        ids: { container: container.id },
        group: null,
        customer: container.customer ?? null,
        servers: container.servers,
      };
}

export interface Rules {
  /** Undefined while loading, null when there is no such container. */
  place: RulesPlace | null | undefined;
  /** The newest version; null: none was saved. */
  newest: RuleSet | null;
  failure: Failure | null;
  refetch: () => void;
  /** Tells of a set that a mutation brought. */
  report: (set: RuleSet | null) => void;
}

export function useRules(serial: string): Rules {
  const [{ data, error }, execute] = useKept({
    query: RulesQuery,
    variables: { serial },
    requestPolicy: "cache-and-network",
  });
  const [reported, setReported] = useState<RuleSet | null>(null);
  const refetch = useCallback(() => execute({ requestPolicy: "network-only" }), [execute]);
  useEffect(() => {
    const timer = setInterval(() => {
      if (document.visibilityState === "visible") refetch();
    }, POLL_MS);
    return () => clearInterval(timer);
  }, [refetch]);

  const container = data?.container;
  const fetched = (container?.tmrGroup ?? container)?.ruleSet ?? null;
  return {
    place: data ? placeOf(container ?? null) : undefined,
    newest: (reported?.version ?? 0) > (fetched?.version ?? 0) ? reported : fetched,
    failure: error ? failureOf(error) : null,
    refetch,
    report: setReported,
  };
}
