import { expect, it } from "vitest";
import { inWords, marks, type Point, sentence, shape, summary, ticks } from "./model";
import { period, usageSearch } from "./search";

const point = (hour: number, more: Partial<Point> = {}): Point => ({
  start: `2026-11-22T${String(hour).padStart(2, "0")}:00:00Z`,
  end: `2026-11-22T${String(hour + 1).padStart(2, "0")}:00:00Z`,
  complete: true,
  peak: 5,
  average: 2.5,
  quantity: 20,
  fullSeconds: 0,
  users: 3,
  stations: 2,
  granted: 9,
  denied: 0,
  ...more,
});

it("says in a sentence what the chart shows", () => {
  expect(sentence(summary([point(8), point(9, { peak: 7 })]))).toBe(
    "At most 7 of 20 licenses were taken at once; there was always a free one.",
  );
  expect(sentence(summary([point(8, { peak: 20, fullSeconds: 3900, denied: 1 })]))).toBe(
    "At most 20 of 20 licenses were taken at once; none was free for 1 h 5 min, and 1 request was denied.",
  );
  expect(sentence(summary([]))).toBe("At most 0 of 0 licenses were taken at once.");
});

it("draws steps, keeps gaps, and puts denials in a lane", () => {
  const s = shape(
    [point(0, { peak: 20 }), point(1, { peak: 10 }), point(3, { denied: 4 })],
    "2026-11-22T00:00:00Z",
    "2026-11-22T04:00:00Z",
  );
  expect(s.area).toBe("M0 160V0H200V160ZM200 160V80H400V160ZM600 160V120H800V160Z");
  expect(s.taken).toBe("M0 0H200L200 80H400M600 120H800");
  expect(s.limit).toBe("M0 0H200L200 0H400M600 0H800");
  expect(s.denials).toEqual([
    { x: 600, width: 199, height: 24, count: 4, start: "2026-11-22T03:00:00Z" },
  ]);
});

it("asks for the same within a minute, and knows only its spans", () => {
  const at = Date.parse("2026-11-22T08:00:30Z");
  expect(period("hour", at)).toEqual({
    from: "2026-11-22T07:01:00.000Z",
    to: "2026-11-22T08:01:00.000Z",
  });
  expect(period("hour", at + 20_000)).toEqual(period("hour", at));
  expect(usageSearch({ span: "week", product: "6000010:14" })).toEqual({
    span: "week",
    product: "6000010:14",
  });
  expect(usageSearch({ span: "year", product: "" })).toEqual({});
});

it("marks the axes at round numbers and times", () => {
  expect(ticks(1)).toEqual([0, 1]);
  expect(ticks(4)).toEqual([0, 1, 2, 3, 4]);
  expect(ticks(20)).toEqual([0, 5, 10, 15, 20]);
  expect(ticks(450)).toEqual([0, 200, 400]);
  expect(ticks(1_000_000)).toHaveLength(3);
  for (const most of [1, 3, 7, 19, 99, 1_234, 98_765]) {
    expect(ticks(most).length).toBeLessThanOrEqual(5);
    expect(ticks(most).every(Number.isInteger)).toBe(true);
  }
  const from = new Date(2026, 10, 22, 9, 30).toISOString();
  const to = new Date(2026, 10, 23, 9, 30).toISOString();
  expect(marks(from, to, 360).map((m) => new Date(m.at).getHours())).toEqual([12, 18, 0, 6]);
  expect(marks(from, to, 360)[0]?.x).toBe(10.4);
});

it("writes a code as words", () => {
  expect(inWords("LIMIT_REACHED")).toBe("Limit reached");
});
