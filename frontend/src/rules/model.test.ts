import { describe, expect, it } from "vitest";
import {
  headline,
  mistakeOf,
  offsetOf,
  positionOf,
  type Report,
  type Rule,
  reservations,
  scopes,
  what,
  whyOf,
} from "./model";

const rule = (change: Partial<Rule>): Rule => ({
  kind: "ALLOW",
  number: null,
  each: null,
  who: [],
  scope: "all licenses",
  name: "",
  line: 1,
  ...change,
});

const report = (change: Partial<Report> = {}): Report => ({
  since: "2026-10-23T08:00:00Z",
  checked: 1841,
  complete: true,
  refusedCount: 0,
  unsure: 0,
  unknownQuantities: [],
  refused: [],
  ...change,
});

it("puts the most specific scope first, and keeps the order of the text in it", () => {
  const found = scopes([
    rule({ line: 1 }),
    rule({ scope: "firm:6000010", line: 2 }),
    rule({ scope: "product:6000010:14", line: 3 }),
    rule({ scope: "firm:6000010", line: 4 }),
  ]);
  expect(found.map((s) => [s.title, s.rules.map((r) => r.line)])).toEqual([
    ["Product 6000010:14", [3]],
    ["Firm 6000010", [2, 4]],
    ["All licenses", [1]],
  ]);
});

it("says what a rule does", () => {
  expect(what(rule({ kind: "CAP", number: 2 }))).toBe("At most 2");
  expect(what(rule({ kind: "CAP", number: 2, each: "user" }))).toBe("At most 2 for each user");
  expect(what(rule({ kind: "PRIORITY", number: -10 }))).toBe("Priority -10");
  expect(what(rule({ kind: "DENY" }))).toBe("Deny");
});

describe("a place in the text", () => {
  it("is taken from the details of a failure", () => {
    const failure = { code: "INVALID_INPUT", message: "", fix: "", requestId: null };
    expect(positionOf({ ...failure, details: { line: 3, column: 5 } })).toEqual({
      line: 3,
      column: 5,
    });
    expect(positionOf({ ...failure, details: { line: 3 } })).toEqual({ line: 3, column: 1 });
    expect(positionOf({ ...failure, details: { field: "text" } })).toBeNull();
    expect(positionOf(failure)).toBeNull();
    expect(positionOf(null)).toBeNull();
  });

  it("counts characters, whatever they take, and stays in the text", () => {
    expect(offsetOf("allow user:a\n  deny", { line: 2, column: 3 })).toBe(15);
    expect(offsetOf("user:🦊 x", { line: 1, column: 8 })).toBe(8);
    expect(offsetOf("ab", { line: 9, column: 9 })).toBe(2);
  });
});

describe("a check", () => {
  it("is told in a sentence", () => {
    expect(headline(report())).toBe(
      "None of the 1,841 grants of the last 30 days would have been refused.",
    );
    expect(headline(report({ refusedCount: 3 }))).toBe(
      "3 of the 1,841 grants of the last 30 days would have been refused.",
    );
    expect(headline(report({ refusedCount: 1841 }))).toBe(
      "All 1,841 grants of the last 30 days would have been refused.",
    );
    expect(headline(report({ checked: 0 }))).toBe(
      "There is no grant of the last 30 days to check against.",
    );
    expect(headline(report({ checked: 1, refusedCount: 1 }))).toBe(
      "The only grant of the last 30 days would have been refused.",
    );
  });

  it("says what it leaves open", () => {
    expect(reservations(report())).toEqual([]);
    expect(
      reservations(
        report({
          complete: false,
          refusedCount: 120,
          unsure: 1,
          unknownQuantities: ["6000010:14", "6000010:67"],
        }),
      ),
    ).toEqual([
      "The first 0 are shown.",
      "There were more: the newest 1,841 were checked.",
      "1 grant might have been refused by the address that it came from, which isn't known.",
      "Reservations were not checked for 6000010:14, 6000010:67: nobody tells how many licenses are in force.",
    ]);
  });
});

it("refuses more than the platform takes", () => {
  expect(mistakeOf("ä".repeat(131_072))).toBeNull();
  expect(mistakeOf("ä".repeat(131_073))).toBe("Write at most 256 KiB.");
});

it("does not repeat who asked for what", () => {
  const why = "not on the allow list of product:6000010:14";
  expect(whyOf(`l.chen, ws-1, charts of 6000010:14 at 2026-11-22T19:32:17Z: ${why}`)).toBe(why);
  expect(whyOf(why)).toBe(why);
});
