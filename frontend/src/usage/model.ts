import type { UsageQuery } from "../gql/graphql";
import { count, plural } from "../ui/count";
import { duration } from "../ui/time";

export type Point = UsageQuery["usage"]["points"][number];

export interface Summary {
  peak: number;
  quantity: number;
  denials: number;
  fullMs: number;
}

export function summary(points: readonly Point[]): Summary {
  return {
    peak: Math.max(0, ...points.map((p) => p.peak)),
    quantity: Math.max(0, ...points.map((p) => p.quantity)),
    denials: points.reduce((n, p) => n + p.denied, 0),
    fullMs: points.reduce((ms, p) => ms + p.fullSeconds * 1_000, 0),
  };
}

/** One plain sentence that says what the chart shows. */
export function sentence(s: Summary): string {
  const peak = `At most ${count(s.peak)} of ${plural(s.quantity, "license")} were taken at once`;
  const full =
    s.fullMs > 0 ? `; none was free for ${duration(s.fullMs)}` : "; there was always a free one";
  const denied =
    s.denials === 0 ? "" : `, and ${plural(s.denials, "request was", "requests were")} denied`;
  return `${peak}${s.quantity > 0 ? full : ""}${denied}.`;
}

export interface Shape {
  width: number;
  height: number;
  area: string;
  /** The upper edge of the area. */
  taken: string;
  limit: string;
  most: number;
  denials: { x: number; width: number; height: number; count: number; start: string }[];
}

const WIDTH = 800;
const HEIGHT = 160;

function round(n: number): number {
  return Math.round(n * 10) / 10;
}

/** The chart in its own coordinates: steps, since each point holds for all of its time. */
export function shape(points: readonly Point[], from: string, to: string): Shape {
  const begin = Date.parse(from);
  const end = Date.parse(to);
  const most = Math.max(1, ...points.map((p) => Math.max(p.peak, p.quantity)));
  const x = (at: string) =>
    Math.min(WIDTH, Math.max(0, ((Date.parse(at) - begin) / (end - begin)) * WIDTH));
  const y = (n: number) => HEIGHT - (n / most) * HEIGHT;
  const steps = (of: (p: Point) => number) =>
    points
      .map((p, i) => {
        // A gap in what is known stays a gap.
        const on = points[i - 1]?.end === p.start ? "L" : "M";
        return `${on}${round(x(p.start))} ${round(y(of(p)))}H${round(x(p.end))}`;
      })
      .join("");
  const area = points
    .map((p) => `M${round(x(p.start))} ${HEIGHT}V${round(y(p.peak))}H${round(x(p.end))}V${HEIGHT}Z`)
    .join("");
  const mostDenied = Math.max(1, ...points.map((p) => p.denied));
  return {
    width: WIDTH,
    height: HEIGHT,
    area,
    taken: steps((p) => p.peak),
    limit: steps((p) => p.quantity),
    most,
    denials: points
      .filter((p) => p.denied > 0)
      .map((p) => ({
        x: round(x(p.start)),
        width: Math.max(2, round(x(p.end) - x(p.start)) - 1),
        height: Math.max(4, round((p.denied / mostDenied) * 24)),
        count: p.denied,
        start: p.start,
      })),
  };
}

/** Whole numbers for an axis from 0 to most, at most five, in steps of 1, 2 or 5 times a power of ten. */
export function ticks(most: number): number[] {
  let step = 1;
  for (let i = 0; most / step > 4; i += 1) step *= i % 3 === 1 ? 2.5 : 2;
  return Array.from({ length: Math.floor(most / step) + 1 }, (_, i) => i * step);
}

export interface Mark {
  at: number;
  /** In per cent of the width. */
  x: number;
}

/** Round times of the reader's day for the axis below; those at its very ends are left out. */
export function marks(from: string, to: string, minutes: number): Mark[] {
  const begin = Date.parse(from);
  const end = Date.parse(to);
  const out: Mark[] = [];
  const next = new Date(begin);
  next.setHours(0, 0, 0, 0);
  while (next.getTime() < end) {
    const x = ((next.getTime() - begin) / (end - begin)) * 100;
    if (x >= 5 && x <= 95) out.push({ at: next.getTime(), x: round(x) });
    if (minutes >= 1_440) next.setDate(next.getDate() + minutes / 1_440);
    else next.setMinutes(next.getMinutes() + minutes);
  }
  return out;
}

/** A code of the platform as words: `LIMIT_REACHED` is `Limit reached`. */
export function inWords(code: string): string {
  const words = code.toLowerCase().replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}
