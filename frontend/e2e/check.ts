import { AxeBuilder } from "@axe-core/playwright";
import type { Page } from "playwright-core";

/** What axe finds against WCAG 2.2 AA and its best practices, in words. */
export async function violations(page: Page, what: string): Promise<string[]> {
  const found = await new AxeBuilder({ page })
    .withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"])
    .analyze();
  return found.violations.map((v) => `${what}: ${v.id} ${v.nodes.map((n) => n.html).join(" ")}`);
}
