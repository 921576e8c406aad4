import { useCallback, useEffect, useRef, useState } from "react";
import { type Client, type OperationResult, useClient } from "urql";
import { AllContainersQuery } from "../api/containers";
import { type Failure, failureOf } from "../api/errors";
import type { AllContainersQuery as Page } from "../gql/graphql";
import type { Container } from "./model";

/** More than these are not filtered in the page: a program asks the API. */
const MOST_PAGES = 20;
const POLL_MS = 15_000;

export interface Containers {
  /** Undefined: still loading. */
  containers: readonly Container[] | undefined;
  /** How many there are in all. */
  total: number;
  failure: Failure | null;
  refetch: () => void;
}

function pageAfter(client: Client, after: string | null): Promise<OperationResult<Page>> {
  return client.query(AllContainersQuery, { after }, { requestPolicy: "network-only" }).toPromise();
}

/** All containers, page after page, looked up again every now and then. */
export function useContainers(poll = true): Containers {
  const client = useClient();
  const [containers, setContainers] = useState<readonly Container[]>();
  const [total, setTotal] = useState(0);
  const [failure, setFailure] = useState<Failure | null>(null);
  const run = useRef(0);

  const refetch = useCallback(async () => {
    run.current += 1;
    const mine = run.current;
    const all: Container[] = [];
    let after: string | null = null;
    let count = 0;
    for (let page = 0; page < MOST_PAGES; page += 1) {
      const { data, error }: OperationResult<Page> = await pageAfter(client, after);
      if (mine !== run.current) return;
      if (!data) return setFailure(failureOf(error));
      const { edges, pageInfo, totalCount } = data.containers;
      for (const edge of edges ?? []) if (edge?.node) all.push(edge.node);
      count = totalCount;
      after = pageInfo.hasNextPage ? (pageInfo.endCursor ?? null) : null;
      if (after === null) break;
    }
    setContainers(all);
    setTotal(Math.max(count, all.length));
    setFailure(null);
  }, [client]);

  useEffect(() => {
    void refetch();
    const timer = poll
      ? setInterval(() => {
          if (document.visibilityState === "visible") void refetch();
        }, POLL_MS)
      : undefined;
    return () => {
      clearInterval(timer);
      run.current += 1; // nobody waits for what is under way
    };
  }, [refetch, poll]);

  return { containers, total, failure, refetch };
}
