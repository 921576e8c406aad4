export interface GroupSearch {
  /** Which licenses the table shows; missing: all. */
  filter?: "not-unanimous";
}

export function groupSearch(search: Record<string, unknown>): GroupSearch {
  return search["filter"] === "not-unanimous" ? { filter: "not-unanimous" } : {};
}
