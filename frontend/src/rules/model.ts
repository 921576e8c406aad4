import type { Failure } from "../api/errors";
import type { RuleKind, RuleSetFieldsFragment, RulesReportFieldsFragment } from "../gql/graphql";
import { count, plural } from "../ui/count";

export type RuleSet = RuleSetFieldsFragment;
export type Rule = RuleSet["rules"][number];
export type Report = RulesReportFieldsFragment;

/** What a file of rules may be at most, as the platform has it. */
const MOST_BYTES = 262_144;

const WORDS: Record<RuleKind, (number: number | null | undefined) => string> = {
  ALLOW: () => "Allow",
  DENY: () => "Deny",
  RESERVE: (n) => `Reserve ${n}`,
  CAP: (n) => `At most ${n}`,
  PRIORITY: (n) => `Priority ${n}`,
};

/** What a rule does, in words. */
export function what(rule: Pick<Rule, "kind" | "number" | "each">): string {
  const words = WORDS[rule.kind](rule.number);
  return rule.each ? `${words} for each ${rule.each}` : words;
}

const ALL = "all licenses";

function specific(scope: string): number {
  return scope.startsWith("product:") ? 0 : scope === ALL ? 2 : 1;
}

export interface Scope {
  scope: string;
  /** `Product 6000010:14`, `Firm 6000010`, `All licenses`. */
  title: string;
  rules: Rule[];
}

/** The rules by what they are about, as they are asked: products, then firms, then all licenses. */
export function scopes(rules: readonly Rule[]): Scope[] {
  const found = new Map<string, Rule[]>();
  for (const rule of rules) found.set(rule.scope, [...(found.get(rule.scope) ?? []), rule]);
  return [...found]
    .map(([scope, of]) => {
      const [kind = "", ...rest] = scope.split(":");
      const title = `${kind.charAt(0).toUpperCase()}${kind.slice(1)} ${rest.join(":")}`.trim();
      return { scope, title, rules: of };
    })
    .toSorted((a, b) => specific(a.scope) - specific(b.scope) || a.scope.localeCompare(b.scope));
}

export interface Position {
  line: number;
  column: number;
}

/** Where a failure is in the text; null: it is not about a place in it. */
export function positionOf(failure: Failure | null): Position | null {
  const { line, column } = failure?.details ?? {};
  return typeof line === "number" && line >= 1
    ? { line, column: typeof column === "number" ? column : 1 }
    : null;
}

/** The offset of a line and column, which count characters from 1. */
export function offsetOf(text: string, { line, column }: Position): number {
  const lines = text.split("\n");
  const before = lines.slice(0, line - 1).reduce((n, l) => n + l.length + 1, 0);
  const ahead = Array.from(lines[line - 1] ?? "")
    .slice(0, column - 1)
    .join("").length;
  return Math.min(before + ahead, text.length);
}

const encoder = new TextEncoder();

/** What is wrong with a text before it is sent; null: nothing that is known here. */
export function mistakeOf(text: string): string | null {
  return encoder.encode(text).length > MOST_BYTES ? "Write at most 256 KiB." : null;
}

const grants = (n: number) => plural(n, "grant");

/** What a check has found, in a sentence. */
export function headline({ checked, refusedCount }: Report): string {
  if (checked === 0) return "There is no grant of the last 30 days to check against.";
  if (checked === 1) {
    return `The only grant of the last 30 days would ${refusedCount === 0 ? "not " : ""}have been refused.`;
  }
  if (refusedCount === checked) {
    return `All ${grants(checked)} of the last 30 days would have been refused.`;
  }
  const hit = refusedCount === 0 ? "None" : count(refusedCount);
  return `${hit} of the ${grants(checked)} of the last 30 days would have been refused.`;
}

/** What the check leaves open. */
export function reservations(report: Report): string[] {
  const out: string[] = [];
  if (report.refusedCount > report.refused.length) {
    out.push(`The first ${report.refused.length} are shown.`);
  }
  if (!report.complete) {
    out.push(`There were more: the newest ${count(report.checked)} were checked.`);
  }
  if (report.unsure > 0) {
    out.push(
      `${grants(report.unsure)} might have been refused by the address that ${report.unsure === 1 ? "it" : "they"} came from, which isn't known.`,
    );
  }
  if (report.unknownQuantities.length > 0) {
    out.push(
      `Reservations were not checked for ${report.unknownQuantities.join(", ")}: nobody tells how many licenses are in force.`,
    );
  }
  return out;
}

/** Why a grant would have been refused, without what its row says already: who, what and when. */
export function whyOf(reason: string): string {
  return reason.replace(/^.* of \d+:\d+ at \d{4}-\d\d-\d\dT\S+: /, "");
}
