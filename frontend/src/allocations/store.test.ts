import { describe, expect, it } from "vitest";
import { allocationSample as allocation, changeSample as change } from "../test/samples";
import { AllocationList, GONE_MS, NEW_MS } from "./store";

const ids = (list: AllocationList, now: number) =>
  list
    .snapshot(now)
    .rows.map((row) => `${row.allocation.id}${row.fresh ? "+" : ""}${row.gone ? "-" : ""}`);

function started() {
  const list = new AllocationList();
  const first = change({ snapshot: true, upserted: [allocation("a"), allocation("b")] });
  expect(list.apply(first, 0)).toBe(true);
  return list;
}

describe("AllocationList", () => {
  it("starts with the snapshot and marks none of its rows", () => {
    expect(ids(started(), 0)).toEqual(["a", "b"]);
  });

  it("marks new rows for a while and keeps ended ones for a while", () => {
    const list = started();
    list.apply(change({ sequence: 2, upserted: [allocation("c")], removed: ["a"] }), 100);
    expect(ids(list, 100)).toEqual(["a-", "b", "c+"]);
    expect(list.snapshot(100).living).toBe(2);
    expect(list.sweep(100)).toBe(100 + NEW_MS);
    expect(ids(list, 100 + NEW_MS)).toEqual(["a-", "b", "c"]);
    expect(list.sweep(100 + NEW_MS)).toBe(100 + GONE_MS);
    expect(list.sweep(100 + GONE_MS)).toBeNull();
    expect(ids(list, 100 + GONE_MS)).toEqual(["b", "c"]);
  });

  it("changes a row without marking it", () => {
    const list = started();
    list.apply(change({ sequence: 2, upserted: [allocation("a", { user: "l.chen" })] }), 100);
    expect(ids(list, 100)).toEqual(["a", "b"]);
    expect(list.snapshot(100).rows[0]?.allocation.user).toBe("l.chen");
  });

  it("takes the figures of the last change", () => {
    const list = started();
    list.apply(change({ sequence: 2, total: 30, taken: 21, free: 9, denials: 4 }), 0);
    expect(list.snapshot(0).figures).toEqual({ total: 30, taken: 21, free: 9, denials: 4 });
  });

  it("refuses a change after a gap, a repeated one and one before the snapshot", () => {
    const list = started();
    expect(list.apply(change({ sequence: 3, removed: ["a"] }), 0)).toBe(false);
    expect(list.apply(change({ sequence: 1, removed: ["a"] }), 0)).toBe(false);
    expect(ids(list, 0)).toEqual(["a", "b"]);
    expect(new AllocationList().apply(change({ sequence: 1 }), 0)).toBe(false);
  });

  it("takes a later snapshot as the whole truth, whatever its number", () => {
    const list = started();
    const next = change({
      sequence: 9,
      snapshot: true,
      upserted: [allocation("b"), allocation("c")],
    });
    expect(list.apply(next, 0)).toBe(true);
    expect(ids(list, 0)).toEqual(["a-", "b", "c+"]);
    expect(list.apply(change({ sequence: 10, removed: ["b"] }), 0)).toBe(true);
  });
});
