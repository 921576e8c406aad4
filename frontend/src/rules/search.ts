/** What the address says; a missing version is the newest. */
export interface RulesSearch {
  version?: string;
}

export function rulesSearch(search: Record<string, unknown>): RulesSearch {
  const { version } = search;
  return typeof version === "string" && /^[1-9]\d{0,8}$/.test(version) ? { version } : {};
}
