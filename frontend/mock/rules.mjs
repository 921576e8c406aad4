// Rules of who may use licenses, for the mock: it reads the lines, and refuses by
// `deny user:` alone.
import { createHash, randomUUID } from "node:crypto";

const KINDS = ["allow", "deny", "reserve", "cap", "priority"];
const NUMBERED = new Set(["reserve", "cap", "priority"]);

function parse(text, failure) {
  const rules = [];
  for (const [i, whole] of text.split("\n").entries()) {
    const words = whole.replace(/(^|\s)#.*/, "").match(/(?:"[^"]*"|\S)+/g) ?? [];
    const [kind, ...rest] = words;
    if (!kind || kind === "group") continue;
    const line = i + 1;
    if (!KINDS.includes(kind)) {
      throw failure(
        "INVALID_INPUT",
        `line ${line}, column ${whole.indexOf(kind) + 1}: "${kind}" is not a kind of rule`,
        { line, column: whole.indexOf(kind) + 1 },
        "begin with allow, deny, reserve, cap, priority or group",
      );
    }
    const number = NUMBERED.has(kind) ? Number(rest.shift()) : null;
    const named = rest.find((w) => w.startsWith("name:"));
    const scope = rest.find((w) => /^(firm|product):/.test(w));
    const who = rest.filter((w) => w !== named && w !== scope && w !== "everybody");
    rules.push({
      __typename: "Rule",
      kind: kind.toUpperCase(),
      number,
      who,
      scope: scope ?? "all licenses",
      name: named?.slice(5) ?? [kind, ...who, scope].filter(Boolean).join(" "),
      line,
    });
  }
  return rules;
}

const digestOf = (text) => createHash("sha256").update(text).digest("hex");

export function createRules(world, failure) {
  const kept = new Map();
  const versions = (place) => kept.get(place) ?? [];
  const newest = (place) => versions(place).at(-1) ?? null;

  function report(text) {
    const denied = new Map();
    for (const rule of parse(text, failure)) {
      const [who] = rule.who;
      if (rule.kind === "DENY" && who?.startsWith("user:")) denied.set(who.slice(5), rule);
    }
    const all = [...world.allocations.values()];
    const refused = all
      .filter((a) => denied.has(a.user))
      .map((allocation) => {
        const rule = denied.get(allocation.user);
        return {
          allocation,
          rule: rule.name,
          reason: `${allocation.user} of 6000010:14 at ${allocation.firstAccess}: ${rule.name} (line ${rule.line})`,
        };
      });
    return {
      since: new Date(Date.now() - 30 * 86_400_000).toISOString(),
      checked: all.length,
      complete: true,
      refusedCount: refused.length,
      refused,
      unsure: 0,
      unknownQuantities: [],
    };
  }

  function add(place, text, savedBy) {
    const set = {
      __typename: "RuleSet",
      id: `rls_${randomUUID()}`,
      version: versions(place).length + 1,
      text,
      digest: digestOf(text),
      rules: parse(text, failure),
      savedBy,
      createdAt: new Date().toISOString(),
    };
    kept.set(place, [...versions(place), set]);
    return set;
  }

  return {
    /** Code and message of what every saving gets, while it is set. */
    refusal: null,
    add,
    newest,
    at: (place, version) => (version ? (versions(place)[version - 1] ?? null) : newest(place)),
    check: report,
    save(place, { text, expectedVersion, confirm }, by) {
      if (this.refusal) throw failure(...this.refusal);
      const found = report(text);
      const before = newest(place);
      const payload = (saved, ruleSet) => ({ saved, ruleSet, report: found });
      if (before?.text === text) return payload(true, before);
      if ((before?.version ?? 0) !== expectedVersion) {
        throw failure(
          "CONFLICT",
          `the rules were changed meanwhile: they have version ${before?.version ?? 0}, not ${expectedVersion}`,
          null,
          "look at what is there now, then change that",
        );
      }
      if (found.refusedCount > 0 && !confirm) return payload(false, before);
      return payload(true, add(place, text, by));
    },
  };
}
