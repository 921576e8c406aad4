import type { AccessMode } from "../gql/graphql";

export const MODES: Record<AccessMode, string> = {
  USER_LIMIT: "User limit",
  STATION_SHARE: "Station share",
  EXCLUSIVE: "Exclusive",
  NO_USER_LIMIT: "No user limit",
};

export const COLUMNS = [
  "product",
  "client",
  "user",
  "process",
  "mode",
  "seat",
  "licenses",
  "firstAccess",
  "accesses",
  "lastAccess",
  "idle",
  "expires",
] as const;

export type Column = (typeof COLUMNS)[number];

export interface Sort {
  column: Column;
  down: boolean;
}

/** The youngest first: rows keep their places while programs renew. */
export const DEFAULT_SORT: Sort = { column: "firstAccess", down: true };

/** What the address says about the list; a missing one is the default. */
export interface AllocationsSearch {
  q?: string;
  mode?: AccessMode;
  /** "1": only accesses that take a license. */
  taking?: "1";
  /** A column, with a minus for descending. */
  sort?: string;
  /** "0": paused. */
  live?: "0";
}

export function parseSort(text: string | undefined): Sort {
  const down = text?.startsWith("-") ?? false;
  const column = COLUMNS.find((c) => c === (down ? text?.slice(1) : text));
  return column ? { column, down } : DEFAULT_SORT;
}

export function formatSort(sort: Sort): string {
  return `${sort.down ? "-" : ""}${sort.column}`;
}

export function allocationsSearch(search: Record<string, unknown>): AllocationsSearch {
  const out: AllocationsSearch = {};
  const { q, mode, taking, sort, live } = search;
  if (typeof q === "string" && q !== "") out.q = q;
  if (typeof mode === "string" && mode in MODES) out.mode = mode as AccessMode;
  if (taking === "1") out.taking = "1";
  if (typeof sort === "string" && sort === formatSort(parseSort(sort))) out.sort = sort;
  if (live === "0") out.live = "0";
  return out;
}
