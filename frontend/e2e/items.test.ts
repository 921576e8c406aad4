import type { Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import { type Mock, signIn, type Visit } from "./browser";
import { look, NARROW_DARK } from "./check";
import { browserForAll, visitor, withMock } from "./suite";

browserForAll();

const CALM = { churn: false };

/** The list of items, as a member sees it. */
async function open(running: Mock, name = "olivia", page?: Visit): Promise<Visit> {
  const shown = page ?? (await visitor());
  await signIn(shown, running, "/", name);
  await shown.getByTestId("tmr-status").waitFor();
  await shown.keyboard.press("g");
  await shown.keyboard.press("i");
  await shown.getByTestId("item").first().waitFor();
  return shown;
}

async function openFirst(page: Page): Promise<void> {
  await page.getByTestId("item").first().click();
  await page.getByTestId("item-form").waitFor();
}

const units = (page: Page) => page.getByLabel("Units", { exact: true });

describe("items", () => {
  it("are made with options, shown in the list, changed and renewed", () =>
    withMock(CALM, async (running) => {
      const page = await open(running);
      await page.getByTestId("new-item").click();
      await page.getByTestId("item-name").fill("Trial");
      await page.getByRole("textbox", { name: "Usage period" }).fill("90d");
      await page.getByRole("textbox", { name: "Features" }).fill("0x5");
      await page.getByText("Switches that are on: 0, 2 of 0 to 31.").waitFor();
      await page.getByLabel("Expires", { exact: true }).fill("2027-12-01T08:00:00");
      await page.getByRole("textbox", { name: "Access list" }).fill("user:anna\n!host:kiosk");
      await page
        .locator("input[type=file]")
        .last()
        .setInputFiles({
          name: "seed.key",
          mimeType: "application/octet-stream",
          buffer: Buffer.from("canary"),
        });
      await page.getByText("seed.key will be stored.").waitFor();
      // What the platform refuses stands at its field, and nothing is lost.
      await page.getByRole("switch").press("Space");
      await page.getByTestId("save-item").click();
      await page.getByText("A TMR license has no usage period.").waitFor();
      await page.getByRole("switch").press("Space");
      await page.getByTestId("save-item").click();
      await page.getByRole("heading", { name: "Trial", level: 1 }).waitFor();
      await page.getByTestId("secretData-state").getByText("Stored, and not shown.").waitFor();
      const made = running.world.items[1];
      expect(made).toMatchObject({
        usagePeriod: 7_776_000,
        featureMap: "5",
        expiration: "2027-12-01T08:00:00Z",
        accessList: ["user:anna", "!host:kiosk"],
        hasSecretData: true,
        hasProtectedData: false,
        tmr: false,
      });

      await units(page).fill("500");
      await page.getByTestId("changes").getByText("Units: none → 500").waitFor();
      await page.getByTestId("save-item").click();
      await page.locator('[data-testid="item-page"][data-revision="2"]').waitFor();
      expect(await page.getByTestId("save-item").isDisabled()).toBe(true);
      await page.getByText("never renewed").waitFor();
      await page.getByTestId("renew-item").click();
      await page.getByTestId("renew-confirm").click();
      await page.getByText("renewed once").first().waitFor();
      await page.getByRole("link", { name: "Items" }).click();
      await expect.poll(() => page.getByTestId("item").count()).toBe(2);
      await page.getByText("500 units").waitFor();
      expect(await page.content()).not.toContain("canary");
      expect(page.problems).toEqual([]);
    }));

  it("are not left with unsaved changes, and not overwritten unseen", () =>
    withMock(CALM, async (running) => {
      const page = await open(running);
      await openFirst(page);
      await units(page).fill("7");
      await page.getByRole("link", { name: "TMR groups" }).click();
      await page.getByTestId("stay").click();
      expect(await units(page).inputValue()).toBe("7");
      const item = running.world.items[0];
      if (!item) throw new Error("the mock has an item");
      item.revision = 5;
      item.text = "by somebody else";
      await page.getByTestId("save-item").click();
      await page.getByText("Somebody else has changed the item").waitFor();
      expect(await units(page).inputValue()).toBe("7");
      await page.getByTestId("reload-item").click();
      await expect
        .poll(() => page.getByLabel("Text", { exact: true }).inputValue())
        .toBe("by somebody else");
      expect(await units(page).inputValue()).toBe("");
      await units(page).fill("8");
      await page.getByRole("link", { name: "TMR groups" }).click();
      await page.getByTestId("leave").click();
      await page.getByTestId("tmr-status").waitFor();
      expect(item.units).toBeNull();
      expect(page.problems).toEqual([]);
    }));

  it("are for reading only to a viewer, and unknown ones are said to be so", () =>
    withMock(CALM, async (running) => {
      const page = await open(running, "vera");
      expect(await page.getByTestId("new-item").count()).toBe(0);
      await page.getByText("Changing needs the role administrator.").waitFor();
      await openFirst(page);
      expect(await units(page).getAttribute("readonly")).not.toBeNull();
      expect(await page.getByTestId("save-item").count()).toBe(0);
      await page.goto(page.url().replace(/itm_.*/, "itm_none"));
      await page.getByText("There is nothing at this address").waitFor();
    }));

  it("are accessible in light and dark, wide and narrow", () =>
    withMock(CALM, async (running) => {
      const page = await open(running, "olivia", await visitor(NARROW_DARK));
      await look(page, "items");
      await openFirst(page);
      await units(page).fill("many");
      await page.getByTestId("save-item").click();
      await page.getByText("Enter a whole number.").waitFor();
      await look(page, "item");
      await page.getByTestId("renew-item").click();
      await page.getByTestId("renew-confirm").waitFor();
      await look(page, "renew");
    }));
});
