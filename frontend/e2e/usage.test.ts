import { describe, expect, it } from "vitest";
import { HOME, type Mock, signIn, type Visit } from "./browser";
import { look, NARROW_DARK } from "./check";
import { browserForAll, visitor, withMock } from "./suite";

browserForAll();

const CALM = { churn: false };

async function open(running: Mock, page?: Visit): Promise<Visit> {
  const shown = page ?? (await visitor());
  await signIn(shown, running, `${HOME}/allocations/131-4837572`);
  await shown.getByRole("link", { name: "usage and denials" }).click();
  await shown.getByTestId("usage-chart").waitFor();
  return shown;
}

describe("usage", () => {
  it("shows what was taken and denied, as a chart, a sentence and a table", () =>
    withMock(CALM, async (running) => {
      const page = await open(running);
      expect(await page.title()).toBe("Usage · Quorate");
      expect(await page.getByTestId("usage-peak").textContent()).toBe("20");
      expect(await page.getByTestId("usage-now").textContent()).toMatch(/^\d+ of 20$/);
      const words = await page.getByTestId("usage-sentence").textContent();
      expect(words).toMatch(
        /^At most 20 of 20 licenses were taken at once; none was free for \d+ min, and \d+ requests were denied\.$/,
      );
      expect(await page.getByTestId("usage-chart").getAttribute("aria-label")).toBe(words);
      expect(await page.getByTestId("denied-bar").count()).toBeGreaterThan(3);
      await page.getByText("Show as table").click();
      expect(await page.locator("details tbody tr").count()).toBeGreaterThan(23);
      expect(
        await page.getByTestId("by-mode").getByText("User limit", { exact: true }).count(),
      ).toBe(1);
      const denials = page.getByTestId("denials");
      await denials.getByText("Limit reached").waitFor();
      await denials.getByText("product/cap guests 2").waitFor();
      expect(page.problems).toEqual([]);
    }));

  it("keeps the time that is asked about in the address, and exports it", () =>
    withMock(CALM, async (running) => {
      const page = await open(running);
      await page.getByTestId("span").selectOption("quarter");
      await expect.poll(() => new URL(page.url()).search).toBe("?span=quarter");
      await page.reload();
      await page.getByTestId("usage-chart").waitFor();
      expect(await page.getByTestId("span").inputValue()).toBe("quarter");
      const href = await page
        .getByRole("link", { name: "Usage", exact: true })
        .getAttribute("href");
      const asked = new URL(href ?? "", page.url());
      expect(asked.pathname).toBe("/export/usage");
      expect(asked.searchParams.get("resolution")).toBe("DAY");
      expect(asked.searchParams.get("container")).toBe("131-4837572");
      expect(page.problems).toEqual([]);
    }));

  it("says so where there is nothing to show", () =>
    withMock({ churn: false, programs: 0 }, async (running) => {
      running.world.usage = (question: object) => ({ ...question, since: null, points: [] });
      running.world.denied = () => [];
      const page = await visitor(NARROW_DARK);
      await signIn(page, running, `${HOME}/usage/131-4837572`);
      await page.getByText("Nothing is known of this time").waitFor();
      await page.getByText("No program uses a license now.").waitFor();
      await page.getByText("No request was denied.").waitFor();
      expect(await page.getByTestId("usage-now").textContent()).toBe("0 of 20");
      expect(await page.getByTestId("usage-full").textContent()).toBe("None");
      await look(page, "usage-empty");
    }));

  it("can be used by everybody, in light and dark, wide and narrow", () =>
    withMock(CALM, async (running) => {
      const page = await open(running, await visitor(NARROW_DARK));
      await look(page, "usage");
      await page.getByText("Show as table").click();
      await look(page, "usage-table");
    }));
});

describe("an allocation", () => {
  it("that is borrowed can't be released, and a refused release says why", () =>
    withMock(CALM, async (running) => {
      const [first, second] = running.world.allocations.values();
      first.borrowed = true;
      second.removal = {
        askedAt: new Date().toISOString(),
        by: "Olivia Park",
        refused: true,
        code: "TOO_YOUNG",
        message: "it is younger than 10 min",
      };
      const page = await visitor();
      await signIn(page, running);
      await page.getByRole("link", { name: "Live allocations" }).click();
      const row = (id: string) => page.locator(`[data-testid="allocation"][data-id="${id}"]`);
      expect(
        await row(first.id)
          .getByRole("button", { name: /^Release/ })
          .isDisabled(),
      ).toBe(true);
      await row(second.id).locator("[data-open]").click();
      await page.getByText("refused: it is younger than 10 min").waitFor();
      expect(page.problems).toEqual([]);
    }));
});
