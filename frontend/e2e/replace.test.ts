import type { Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import { offlineFile } from "../mock/containers.mjs";
import { HOME, type Mock, signIn, turn, type Visit } from "./browser";
import { look, NARROW_DARK } from "./check";
import { browserForAll, visitor, withMock } from "./suite";

browserForAll();

const CALM = { churn: false, pace: 40 };

async function open(running: Mock, page?: Visit, name = "olivia"): Promise<Visit> {
  const shown = page ?? (await visitor());
  await signIn(shown, running, HOME, name);
  await shown.getByTestId("live").getByText("Live").waitFor();
  await turn(running, { down: [2] });
  await shown.getByTestId("tmr-status").getByText("1:#7 2:- 3:#7").waitFor();
  return shown;
}

const give = (page: Page, serials: string[], group: string | null = null) =>
  page
    .getByRole("dialog")
    .getByTestId("request-picker")
    .setInputFiles({
      name: "new.lreq",
      mimeType: "text/plain",
      buffer: Buffer.from(offlineFile("request", serials, group)),
    });

describe("a lost backend", () => {
  it("is replaced when its serial number is typed, and a rollout fills the new one", () =>
    withMock(CALM, async (running) => {
      const page = await open(running);
      await page.getByTestId("replace-2").click();
      const dialog = page.getByRole("dialog", { name: "Replace a backend of Production" });
      expect(await dialog.getByTestId("lost-backend").inputValue()).toBe("130-27845973");
      await dialog
        .getByText("The other two carry the licenses meanwhile: running programs keep them.")
        .waitFor();
      expect(await dialog.getByTestId("submit").isDisabled()).toBe(true);
      await dialog.getByTestId("confirm-serial").fill("130-27845973");
      await dialog.getByTestId("submit").click();
      await dialog.getByText("Hand in the new container's request file.").waitFor();
      await dialog.getByText("Say what has happened.").waitFor();
      await give(page, ["130-1874829"]);
      await dialog.getByText("It has no container that is not in the group yet.").waitFor();
      await dialog.getByRole("button", { name: "Choose another" }).click();
      await give(page, ["130-1"], "131-9");
      await dialog.getByText("It is of the group 131-9, not of 131-4837572.").waitFor();
      await dialog.getByRole("button", { name: "Choose another" }).click();
      // What the platform says stays in the dialog, with all that was typed.
      await give(page, ["130-5001"]);
      await dialog.getByTestId("reason").fill("the disk broke");
      await dialog.getByTestId("submit").click();
      await dialog
        .getByTestId("failure")
        .getByText(/There is a container 130-5001 already\. Create a new container/)
        .waitFor();
      expect(await dialog.getByTestId("reason").inputValue()).toBe("the disk broke");
      await dialog.getByRole("button", { name: "Choose another" }).click();
      await give(page, ["130-5550123"]);
      await dialog.getByTestId("submit").click();
      await dialog.getByTestId("replaced").getByText("130-5550123").waitFor();
      await dialog.getByText(/at position 2 of --backend/).waitFor();
      await dialog.getByTestId("replaced-close").click();
      await page.locator('[data-testid="rollout"][data-state="DONE"]').waitFor();
      await page.getByTestId("tmr-status").getByText("1:#8 2:#8 3:#8").waitFor();
      await page.getByText("130-5550123").first().waitFor();
      expect(await page.getByTestId("lost-backends").count()).toBe(0);
      expect(page.problems).toEqual([]);
    }));

  it("by files leads to the files; one that answers is replaced with a warning", () =>
    withMock(CALM, async (running) => {
      const page = await open(running);
      await turn(running, { down: [] });
      await page.getByTestId("tmr-status").getByText("1:#7 2:#7 3:#7").waitFor();
      await page.getByTestId("replace-backend").click();
      const dialog = page.getByRole("dialog");
      expect(await dialog.getByTestId("confirm-serial").count()).toBe(0);
      await dialog.getByTestId("lost-backend").selectOption("130-3879234");
      await dialog.getByText("It answers now: make sure that it is the right one.").waitFor();
      await give(page, ["130-5550123"]);
      await dialog.getByTestId("reason").fill("smells of smoke");
      await dialog.getByLabel("The group gets its updates by files").check();
      await dialog.getByTestId("confirm-serial").fill("130-3879234");
      await dialog.getByTestId("submit").click();
      await dialog.getByText(/bring it the licenses by files/).waitFor();
      await dialog.getByTestId("replaced-close").click();
      await page.getByTestId("offline-step-1").waitFor();
      expect(page.problems).toEqual([]);
    }));

  it("is not a viewer's to replace", () =>
    withMock(CALM, async (running) => {
      const page = await open(running, undefined, "vera");
      for (const id of ["replace-2", "replace-backend"]) {
        expect(await page.getByTestId(id).count(), id).toBe(0);
      }
    }));

  it("is shown and asked about accessibly, in light and dark, wide and narrow", () =>
    withMock(CALM, async (running) => {
      const page = await open(running, await visitor(NARROW_DARK));
      await look(page, "group-lost");
      await page.getByTestId("replace-2").click();
      await page.getByTestId("confirm-serial").fill("130-27845973");
      await page.getByTestId("submit").click();
      await page.getByText("Say what has happened.").waitFor();
      await look(page, "replace");
      await give(page, ["130-5550123"]);
      await page.getByTestId("reason").fill("the disk broke");
      await page.getByTestId("submit").click();
      await page.getByTestId("replaced").waitFor();
      await look(page, "replaced");
    }));
});
