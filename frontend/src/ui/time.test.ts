import { expect, it } from "vitest";
import { count, plural } from "./count";
import { duration, moment, zone } from "./time";

it("tells the year of a moment where it is another one than now", () => {
  const now = new Date(2026, 10, 23).getTime();
  expect(moment(new Date(2026, 0, 2, 6, 41).toISOString(), now)).toBe("2 Jan, 06:41");
  expect(moment(new Date(2025, 11, 31, 6, 41).toISOString(), now)).toBe("31 Dec 2025, 06:41");
});

it("names the zone of the times that are shown", () => {
  expect(zone()).toBe(new Intl.DateTimeFormat().resolvedOptions().timeZone);
});

it("shows durations in one or two units", () => {
  expect([0, 296, 4_999, 125_000, 3 * 3_600_000 + 720_000, 90 * 3_600_000].map(duration)).toEqual([
    "0 ms",
    "300 ms",
    "4 s",
    "2 min 5 s",
    "3 h 12 min",
    "3 d",
  ]);
});

it("groups the digits of large numbers, and knows one from many", () => {
  expect([count(999), count(1_234_567)]).toEqual(["999", "1,234,567"]);
  expect([plural(1, "license"), plural(2_000, "license")]).toEqual(["1 license", "2,000 licenses"]);
});
