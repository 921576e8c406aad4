import type { UsageResolution } from "../gql/graphql";

interface Span {
  label: string;
  hours: number;
  resolution: UsageResolution;
  /** Minutes between the marks of the axis. */
  mark: number;
}

export const SPANS = {
  hour: { label: "1 hour", hours: 1, resolution: "MINUTE", mark: 15 },
  day: { label: "24 hours", hours: 24, resolution: "HOUR", mark: 360 },
  week: { label: "7 days", hours: 168, resolution: "HOUR", mark: 2_880 },
  month: { label: "30 days", hours: 720, resolution: "DAY", mark: 10_080 },
  quarter: { label: "90 days", hours: 2160, resolution: "DAY", mark: 30_240 },
} as const satisfies Record<string, Span>;

export type SpanName = keyof typeof SPANS;

/** What the address says; a missing one is the default. */
export interface UsageSearch {
  product?: string;
  span?: SpanName;
}

export function usageSearch(search: Record<string, unknown>): UsageSearch {
  const out: UsageSearch = {};
  const { product, span } = search;
  if (typeof product === "string" && product !== "") out.product = product;
  if (typeof span === "string" && span in SPANS && span !== "day") out.span = span as SpanName;
  return out;
}

/**
 * The time that is asked about. It ends with the present minute, so that a page
 * that is drawn again asks for the same.
 */
export function period(span: SpanName, now: number): { from: string; to: string } {
  const end = Math.ceil(now / 60_000) * 60_000;
  return {
    from: new Date(end - SPANS[span].hours * 3_600_000).toISOString(),
    to: new Date(end).toISOString(),
  };
}
