import type { AllocationsSearch, Column, Sort } from "./search";
import type { Allocation, Row } from "./store";

function text(a: Allocation): string {
  return `${a.product.name} ${a.product.reference} ${a.client} ${a.user} ${a.application} ${a.processId}`.toLowerCase();
}

/** Every word of the filter must occur somewhere in the row. */
export function matches(row: Row, search: AllocationsSearch): boolean {
  const { allocation } = row;
  if (search.mode && allocation.mode !== search.mode) return false;
  if (search.taking && allocation.licenses === 0) return false;
  if (!search.q) return true;
  const all = text(allocation);
  return search.q
    .toLowerCase()
    .split(/\s+/)
    .every((word) => all.includes(word));
}

const VALUES: Record<Column, (a: Allocation) => string | number> = {
  product: (a) => a.product.name,
  client: (a) => a.client,
  user: (a) => a.user,
  process: (a) => a.application,
  mode: (a) => a.mode,
  seat: (a) => a.seat,
  licenses: (a) => a.licenses,
  firstAccess: (a) => Date.parse(a.firstAccess),
  accesses: (a) => a.accesses,
  lastAccess: (a) => Date.parse(a.lastAccessAt ?? a.lastAccess),
  idle: (a) => (a.idleSince ? -Date.parse(a.idleSince) : -Number.MAX_SAFE_INTEGER),
  expires: (a) => (a.expiresAt ? Date.parse(a.expiresAt) : Number.MAX_SAFE_INTEGER),
};

const collator = new Intl.Collator("en", { numeric: true });

/** A total order: rows that are equal by the column stand by their ids, so none jumps. */
export function sorted(rows: readonly Row[], sort: Sort): Row[] {
  const value = VALUES[sort.column];
  const sign = sort.down ? -1 : 1;
  return rows.toSorted((x, y) => {
    const a = value(x.allocation);
    const b = value(y.allocation);
    const order =
      typeof a === "number" && typeof b === "number"
        ? a - b
        : collator.compare(String(a), String(b));
    if (order !== 0) return order * sign;
    return x.allocation.id < y.allocation.id ? -1 : 1;
  });
}

export interface Arranged {
  rows: Row[];
  /** How many rows came or went since the order was frozen. */
  changes: number;
}

/**
 * While somebody points at the list its rows stay where they are: their contents
 * go on, those that ended stay struck through, new ones wait.
 */
export function frozen(held: readonly Row[], now: readonly Row[]): Arranged {
  const current = new Map(now.map((row) => [row.allocation.id, row]));
  let changes = 0;
  const rows = held.map((row) => {
    const live = current.get(row.allocation.id);
    current.delete(row.allocation.id);
    const next = live ?? { ...row, fresh: false, gone: true };
    if (next.gone && !row.gone) changes += 1;
    return next;
  });
  for (const row of current.values()) if (!row.gone) changes += 1;
  return { rows, changes };
}
