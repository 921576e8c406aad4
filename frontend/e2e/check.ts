import axe from "axe-core";
import type { Page } from "playwright-core";
import { expect } from "vitest";

const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

interface Axe {
  run: (context: Document, options: axe.RunOptions) => Promise<axe.AxeResults>;
}

/** What axe finds against WCAG 2.2 AA and its best practices, in words. */
export async function violations(page: Page, what: string): Promise<string[]> {
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(axe.source);
  const found = await page.evaluate(async (tags) => {
    const { run } = (window as unknown as { axe: Axe }).axe;
    const { violations } = await run(document, { runOnly: tags, resultTypes: ["violations"] });
    return violations.map((v) => ({
      id: v.id,
      nodes: v.nodes.map((n) => `${n.html} ${n.failureSummary ?? ""}`),
    }));
  }, TAGS);
  return found.map((v) => `${what}: ${v.id} ${v.nodes.join(" ")}`);
}

/** As the pages of an accessibility test begin: the harder way, by a finger's width in the dark. */
export const NARROW_DARK = {
  colorScheme: "dark",
  viewport: { width: 360, height: 900 },
  reducedMotion: "reduce",
} as const;

const LOOKS = [
  { colorScheme: "light", width: 360 },
  { colorScheme: "light", width: 1440 },
  { colorScheme: "dark", width: 1440 },
  { colorScheme: "dark", width: 360 },
] as const;

const shots = process.env["QUORATE_SCREENSHOTS"];

/** The present page in light and dark, wide and narrow: nothing axe minds, nothing cut off at the side. */
export async function look(page: Page, what: string): Promise<void> {
  for (const { colorScheme, width } of LOOKS) {
    const name = `${what}-${colorScheme}-${width}`;
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 900 });
    // What the bar at the top covers where the page happens to stand, a scroll uncovers.
    await page.evaluate(() => window.scrollTo(0, 0));
    // What measures itself does so with the next frame, and is drawn with the one after.
    await page.evaluate(
      () => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))),
    );
    expect(await violations(page, name)).toEqual([]);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    expect(wide, name).toBeLessThanOrEqual(width);
    if (shots) await page.screenshot({ path: `${shots}/${name}.png`, fullPage: true });
  }
}
