import { describe, expect, it } from "vitest";
import { allocationSample as allocation } from "../test/samples";
import { frozen, matches, sorted } from "./arrange";
import { allocationsSearch, DEFAULT_SORT, formatSort, parseSort } from "./search";
import type { Row } from "./store";

const row = (id: string, change = {}, gone = false): Row => ({
  allocation: allocation(id, change),
  fresh: false,
  gone,
});
const ids = (rows: readonly Row[]) => rows.map((r) => r.allocation.id).join(" ");

describe("matches", () => {
  const one = row("a", { user: "l.chen", client: "term-03", processId: 1234 });
  it("wants every word somewhere, in any case", () => {
    expect(matches(one, { q: "CHEN term" })).toBe(true);
    expect(matches(one, { q: "6000010:14 1234" })).toBe(true);
    expect(matches(one, { q: "chen lap" })).toBe(false);
  });
  it("filters by mode and by whether a license is taken", () => {
    expect(matches(one, { mode: "EXCLUSIVE" })).toBe(false);
    expect(matches(row("b", { licenses: 0 }), { taking: "1" })).toBe(false);
    expect(matches(one, { mode: "USER_LIMIT", taking: "1" })).toBe(true);
  });
});

describe("sorted", () => {
  const rows = [row("b", { user: "u10" }), row("c", { user: "u2" }), row("a", { user: "u2" })];
  it("orders numbers in text as numbers, and equal rows by their ids in both directions", () => {
    expect(ids(sorted(rows, { column: "user", down: false }))).toBe("a c b");
    expect(ids(sorted(rows, { column: "user", down: true }))).toBe("b a c");
  });
});

describe("how a license is used", () => {
  const rows = [
    row("a", { idleSince: "2026-11-22T08:00:00Z", expiresAt: null }),
    row("b", { lastAccessAt: null, lastAccess: "2026-11-22T09:00:00Z" }),
    row("c", { idleSince: "2026-11-21T08:00:00Z", expiresAt: "2026-11-22T08:00:10Z" }),
  ];
  it("orders the longest idle last, and what is in use first", () => {
    expect(ids(sorted(rows, { column: "idle", down: false }))).toBe("b a c");
  });
  it("orders by what the license server told, else by the last event", () => {
    expect(ids(sorted(rows, { column: "lastAccess", down: true }))).toBe("b a c");
    expect(ids(sorted(rows, { column: "expires", down: false }))).toBe("c b a");
  });
});

describe("frozen", () => {
  it("keeps places, updates contents, strikes what ended and counts what waits", () => {
    const held = [row("a"), row("b"), row("c")];
    const now = [row("d"), row("c", { user: "new" }), row("a", {}, true)];
    const { rows, changes } = frozen(held, now);
    expect(ids(rows)).toBe("a b c");
    expect(rows.map((r) => r.gone)).toEqual([true, true, false]);
    expect(rows[2]?.allocation.user).toBe("new");
    expect(changes).toBe(3);
  });
  it("counts nothing when nothing came or went", () => {
    expect(frozen([row("a"), row("b")], [row("b"), row("a")]).changes).toBe(0);
  });
});

describe("search", () => {
  it("drops what it does not know", () => {
    expect(
      allocationsSearch({
        q: "",
        mode: "NONSENSE",
        taking: "yes",
        sort: "-nothing",
        live: "1",
        x: "y",
      }),
    ).toEqual({});
    expect(
      allocationsSearch({ q: "a", mode: "EXCLUSIVE", taking: "1", sort: "-user", live: "0" }),
    ).toEqual({
      q: "a",
      mode: "EXCLUSIVE",
      taking: "1",
      sort: "-user",
      live: "0",
    });
  });
  it("reads what it writes", () => {
    expect(parseSort(formatSort({ column: "lastAccess", down: true }))).toEqual({
      column: "lastAccess",
      down: true,
    });
    expect(parseSort(undefined)).toEqual(DEFAULT_SORT);
  });
});
