import { describe, expect, it } from "vitest";
import { groupSample as group, rolloutSample as rollout } from "../test/samples";
import { linesOf } from "./drawing";
import { abortable, latest, planOf, unanimous } from "./rollout";

describe("latest", () => {
  it("prefers the newest rollout, then its latest change", () => {
    const old = rollout({ id: "rol_1", number: 1, sequence: 40 });
    const early = rollout({ id: "rol_2", number: 2, sequence: 3 });
    const late = rollout({ id: "rol_2", number: 2, sequence: 4 });
    expect(latest([old, late, null, early, undefined])).toBe(late);
    expect(latest([null, undefined])).toBeNull();
  });
});

describe("planOf", () => {
  it("tells quantities and the next TMR-ID", () => {
    expect(planOf(group(), 30, null)).toEqual({ from: 20, to: 30, fromId: 7, toId: 8 });
  });
  it("is null when everything that was ordered is rolled out or on its way", () => {
    expect(planOf(group(), 20, null)).toBeNull();
    expect(planOf(group(), 30, rollout())).toBeNull();
  });
  it("never gives a TMR-ID again that an aborted rollout had", () => {
    expect(planOf(group(), 30, rollout({ state: "ABORTED", tmrId: 9 }))?.toId).toBe(10);
  });
  it("starts from what the running rollout brings", () => {
    expect(planOf(group(), 40, rollout())).toEqual({ from: 30, to: 40, fromId: 8, toId: 9 });
  });
  it("makes no loss of what it can't see", () => {
    const gone = group({
      quantity: 0,
      tmrId: null,
      backends: group().backends.map((b) => (b.position < 3 ? { ...b, state: "ABSENT" } : b)),
    });
    expect(planOf(gone, 20, null)).toBeNull();
    expect(planOf(gone, 40, rollout({ state: "DONE" }))).toBeNull();
    expect(planOf(gone, 40, rollout())).toEqual({ from: 30, to: 40, fromId: 8, toId: 9 });
  });
  it("starts a group's first rollout from nothing", () => {
    const empty = group({ quantity: 0, tmrId: null, backends: [] });
    expect(planOf(empty, 20, null)).toEqual({ from: 0, to: 20, fromId: null, toId: 1 });
  });
});

describe("abortable", () => {
  const failedAt = (position: number) =>
    rollout({
      state: "HELD",
      steps: rollout().steps.map((step) => ({
        ...step,
        state: step.position < position ? "DONE" : step.position === position ? "FAILED" : "HELD",
      })),
    });
  it("is so before the first activation only", () => {
    for (const state of ["QUEUED", "COLLECTING", "ISSUING", "STAGING", "GUARDING"] as const) {
      expect(abortable(rollout({ state }))).toBe(true);
    }
    for (const state of ["ACTIVATING", "CONFIRMING", "DONE", "ABORTED"] as const) {
      expect(abortable(rollout({ state }))).toBe(false);
    }
    expect(abortable(failedAt(1))).toBe(true);
    expect(abortable(failedAt(2))).toBe(false);
  });
});

describe("unanimous", () => {
  it("wants three times the same TMR-ID, in force", () => {
    expect(unanimous("1:#7 2:#7 3:#7")).toBe(true);
    for (const status of [
      "1:- 2:#7 3:#7",
      "1:(#8) 2:#7 3:#7",
      "1:- 2:- 3:-",
      "1:(#7) 2:- 3:(#8)",
      "",
    ]) {
      expect(unanimous(status)).toBe(false);
    }
  });
});

describe("linesOf", () => {
  it("leads from the active server to the backends, dotted where one is down", () => {
    const sample = group();
    const lines = linesOf({
      servers: [
        { name: "tmr-a", role: "DOWN", address: "", seenAt: null },
        { name: "tmr-b", role: "ACTIVE", address: "", seenAt: null },
      ],
      backends: sample.backends.map((b) => (b.position === 2 ? { ...b, state: "ABSENT" } : b)),
    });
    expect(lines.map((l) => `${l.from} > ${l.to}: ${l.stroke}`)).toEqual([
      "clients > address: solid",
      "address > server tmr-a: dotted",
      "address > server tmr-b: solid",
      "server tmr-b > backend 1: solid",
      "server tmr-b > backend 2: dotted",
      "server tmr-b > backend 3: solid",
    ]);
  });
  it("carries nothing without an active server", () => {
    const servers = [{ name: "tmr-a", role: "STANDBY" as const, address: "", seenAt: null }];
    const lines = linesOf({ servers, backends: group().backends });
    expect(lines.every((l) => l.stroke !== "solid")).toBe(true);
  });
});
