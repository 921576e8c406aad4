import type { TypedDocumentNode } from "@urql/core";
import { useCallback, useEffect, useRef, useState } from "react";
import { useClient } from "urql";
import { type Failure, failureOf } from "./errors";

/** More than these are not loaded into a page: a program asks the API. */
const MOST_PAGES = 20;
const POLL_MS = 15_000;

export interface Connection<N> {
  totalCount: number;
  pageInfo: { hasNextPage: boolean; endCursor?: string | null };
  edges?: readonly ({ node?: N | null } | null)[] | null;
}

/** A query whose one connection takes its place in it as `$after`. */
type Paged<T> = TypedDocumentNode<T, { after?: string | null }>;

export interface All<N, T = unknown> {
  /** Undefined: still loading. */
  all: readonly N[] | undefined;
  /** How many there are in all; more than `all` where not all are loaded. */
  total: number;
  /** What the first page came with. */
  first: T | undefined;
  /** Why they could not be loaded, or loaded again. */
  failure: Failure | null;
  refetch: () => void;
}

type Found<N, T> = Pick<All<N, T>, "total" | "first"> & { all: N[] };

/** Page after page until the last one, or until `next` gives null. */
async function collect<T, N>(
  pick: (data: T) => Connection<N>,
  next: (after: string | null) => Promise<T | null>,
): Promise<Found<N, T> | null> {
  const all: N[] = [];
  let first: T | undefined;
  let after: string | null = null;
  let total = 0;
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const data = await next(after);
    if (!data) return null;
    first ??= data;
    const { edges, pageInfo, totalCount } = pick(data);
    for (const edge of edges ?? []) if (edge?.node) all.push(edge.node);
    total = totalCount;
    after = pageInfo.hasNextPage ? (pageInfo.endCursor ?? null) : null;
    if (after === null) break;
  }
  return { all, total: Math.max(total, all.length), first };
}

/**
 * All entries of a list, page after page: first those that are known from
 * before, then those that there are. `pick` stays the same.
 */
export function useAll<T, N>(
  query: Paged<T>,
  pick: (data: T) => Connection<N>,
  poll = false,
): All<N, T> {
  const client = useClient();
  const [found, setFound] = useState<Found<N, T>>();
  const [failure, setFailure] = useState<Failure | null>(null);
  const run = useRef(0);

  const load = useCallback(async () => {
    run.current += 1;
    const mine = run.current;
    let failed: Failure | null = null;
    const loaded = await collect(pick, async (after) => {
      if (mine !== run.current) return null;
      const { data, error } = await client
        .query(query, { after }, { requestPolicy: "network-only" })
        .toPromise();
      if (!data) failed = failureOf(error);
      return data ?? null;
    });
    if (mine !== run.current) return;
    if (loaded) setFound(loaded);
    setFailure(failed);
  }, [client, query, pick]);

  useEffect(() => {
    let shown = true;
    const showKnown = async () => {
      const known = await collect(pick, async (after) => {
        return client.readQuery(query, { after }, { requestPolicy: "cache-only" })?.data ?? null;
      });
      if (shown && known) setFound((now) => now ?? known);
    };
    void showKnown();
    void load();
    const timer = poll
      ? setInterval(() => {
          if (document.visibilityState === "visible") void load();
        }, POLL_MS)
      : undefined;
    return () => {
      shown = false;
      clearInterval(timer);
      run.current += 1; // nobody waits for what is under way
    };
  }, [client, query, pick, load, poll]);

  const refetch = useCallback(() => void load(), [load]);
  return { all: found?.all, total: found?.total ?? 0, first: found?.first, failure, refetch };
}
