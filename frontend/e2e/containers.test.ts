import { readFileSync } from "node:fs";
import type { Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import { offlineFile } from "../mock/containers.mjs";
import { HOME, type Mock, signIn, type Visit } from "./browser";
import { look, NARROW_DARK } from "./check";
import { browserForAll, visitor, withMock } from "./suite";

browserForAll();

const SINGLES = { singles: true, churn: false };

async function open(running: Mock, serial = "", name = "olivia"): Promise<Visit> {
  const page = await visitor();
  await signIn(page, running, "/", name);
  await page.getByRole("link", { name: "Containers" }).click();
  await page.getByTestId("container").first().waitFor();
  if (serial) {
    await page.getByRole("link", { name: new RegExp(`^${serial}`) }).click();
    await page.getByTestId("container-page").waitFor();
  }
  return page;
}

const state = (page: Page, of: string) =>
  page.locator(`[data-testid="container-page"][data-state="${of}"]`).waitFor();

const give = (page: Page, kind: "request" | "receipt", text: string, within = "offline") =>
  page
    .getByTestId(within)
    .getByTestId(`${kind}-picker`)
    .first()
    .setInputFiles({ name: `one.${kind}`, mimeType: "text/plain", buffer: Buffer.from(text) });

async function saved(
  page: Page,
  press: () => Promise<void>,
): Promise<{ name: string; text: string }> {
  const [download] = await Promise.all([page.waitForEvent("download"), press()]);
  return { name: download.suggestedFilename(), text: readFileSync(await download.path(), "utf8") };
}

describe("the containers", () => {
  it("are found by state and by words, which the address keeps", () =>
    withMock(SINGLES, async (running) => {
      const page = await open(running);
      expect(await page.title()).toBe("Containers · Quorate");
      expect(await page.getByTestId("container").count()).toBe(7);
      await page.getByTestId("state-filter").selectOption("UPDATE_DUE");
      await page.getByText("1 of 7 shown").waitFor();
      await page.getByRole("link", { name: /130-5002/ }).waitFor();
      await page.getByLabel("Filter").fill("130-60");
      await page.getByText("The filter hides 7 containers").waitFor();
      expect(new URL(page.url()).search).toBe("?state=UPDATE_DUE&q=130-60");
      await page.reload();
      await page.getByRole("button", { name: "Show all" }).click();
      await page.getByText("7 of 7 shown").waitFor();
      expect(page.problems).toEqual([]);
    }));

  it("are registered by their request file; what is refused stays in the dialog", () =>
    withMock(SINGLES, async (running) => {
      const page = await open(running);
      await page.getByTestId("register").click();
      const dialog = page.getByRole("dialog", { name: "Register a container" });
      await dialog.getByTestId("submit").click();
      await dialog.getByText("Hand in the container's request file.").waitFor();
      const zone = dialog.getByTestId("request-picker");
      const file = (text: string) => ({
        name: "one.lreq",
        mimeType: "text/plain",
        buffer: Buffer.from(text),
      });
      await zone.setInputFiles(file(offlineFile("receipt", ["130-7001"])));
      await dialog.getByText("This is a receipt file (.lrcp)").waitFor();
      await zone.setInputFiles(file(offlineFile("request", ["130-5001"])));
      await dialog.getByTestId("request-file").getByText("130-5001").waitFor();
      await dialog.getByTestId("submit").click();
      await dialog
        .getByTestId("failure")
        .getByText(/re-host the lost one/)
        .waitFor();
      await dialog.getByRole("button", { name: "Choose another" }).click();
      await dialog.getByRole("button", { name: "Paste text" }).click();
      await dialog
        .getByLabel("Text of the request file")
        .fill(offlineFile("request", ["130-7001"]));
      await dialog.getByLabel("Customer").fill("Baltic Port");
      await dialog.getByLabel("Its license server gets updates over the link").check();
      await dialog.getByLabel("Name of the license server").fill("port-1");
      await dialog.getByTestId("submit").click();
      await dialog.getByTestId("link-token").waitFor();
      await dialog.getByRole("link", { name: "Open it" }).click();
      await page.getByText("It is empty: order licenses for it").waitFor();
      expect(await page.title()).toBe("Container 130-7001 · Quorate");
      expect(page.problems).toEqual([]);
    }));
});

describe("a container", () => {
  it("gets licenses by files, step after step", () =>
    withMock(SINGLES, async (running) => {
      const page = await open(running, "130-5002");
      await state(page, "UPDATE_DUE");
      await page.getByText("install it with quorate apply, bring the receipt back").waitFor();
      await give(page, "request", offlineFile("request", ["130-9"]));
      await page.getByText("It is of the container 130-9, not of 130-5002.").waitFor();
      expect(await page.getByTestId("offline-start").isDisabled()).toBe(true);
      await page.getByRole("button", { name: "Choose another" }).click();
      await give(page, "request", offlineFile("request", ["130-5002"]));
      await page.getByTestId("offline-start").click();
      await state(page, "AWAITING_RECEIPT");
      const download = () => page.getByTestId("offline-download").click();
      const first = await saved(page, download);
      expect(first.name).toBe("130-5002.lupd");
      expect(first.text).toContain("BEGIN QUORATE UPDATE");
      await page.reload();
      await state(page, "AWAITING_RECEIPT");
      expect((await saved(page, download)).text).toBe(first.text);
      await give(page, "receipt", offlineFile("receipt", ["130-5002"]));
      await page.getByTestId("offline-finish").click();
      await page.getByText("The receipt is in: the update is installed.").waitFor();
      await state(page, "UP_TO_DATE");
      expect(await page.locator('[data-label="On it"]').textContent()).toBe("8");
      expect(page.problems).toEqual([]);
    }));

  it("gets licenses over the link", () =>
    withMock(SINGLES, async (running) => {
      const page = await open(running, "130-5001");
      await page.getByTestId("order").click();
      await page.getByTestId("order-quantity").fill("2");
      await page.getByTestId("order-submit").click();
      await page.getByTestId("order-submit").waitFor({ state: "hidden" });
      await state(page, "UPDATE_DUE");
      await page.getByTestId("start").click();
      await page.getByTestId("submit").click();
      await page.locator('[data-testid="rollout"][data-state="DONE"]').waitFor();
      await state(page, "UP_TO_DATE");
      expect(await page.locator('[data-label="On it"]').textContent()).toBe("22");
    }));

  it("has time certified with the keyboard alone", () =>
    withMock(SINGLES, async (running) => {
      const page = await open(running, "130-5001");
      const certify = page.getByTestId("certify");
      await page.getByTestId("offline-toggle").focus();
      await page.keyboard.press("Enter");
      await certify.locator("summary").focus();
      await page.keyboard.press("Enter");
      await certify.getByRole("button", { name: "Paste text" }).focus();
      await page.keyboard.press("Enter");
      await page.keyboard.insertText(offlineFile("request", ["130-5001"]));
      await certify.getByTestId("certify-submit").focus();
      const file = await saved(page, () => page.keyboard.press("Enter"));
      expect(file.name).toBe("130-5001-time.lupd");
      await certify.getByText("is certified for 130-5001").waitFor();
    }));

  it("gives licenses back, and to another one", () =>
    withMock(SINGLES, async (running) => {
      const page = await open(running, "130-5001");
      await page.getByTestId("return").click();
      await page.getByTestId("quantity").fill("21");
      await page.getByTestId("submit").click();
      await page.getByText("Enter a whole number, 1 to 20.").waitFor();
      await page.getByTestId("quantity").fill("3");
      await page.getByTestId("submit").click();
      await page.locator('[data-testid="transfer"][data-state="REQUESTED"]').waitFor();
      await page.getByTestId("move").click();
      await page.getByTestId("quantity").fill("1");
      await page.getByTestId("submit").click();
      await page.getByText("Choose where they go.").waitFor();
      const offered = await page.getByTestId("target").locator("option").allTextContents();
      expect(offered).toEqual(["Choose a container", "130-5002", "130-5003", "130-5004"]);
      await page.getByTestId("target").selectOption({ label: "130-5003" });
      await page.getByTestId("submit").click();
      await page.getByText("Moved: 1 Chart Processing").waitFor();
      expect(await page.locator('[data-label="Leaving"]').textContent()).toBe("4");
      expect(page.problems).toEqual([]);
    }));

  it("is revoked and replaced only when its serial number is typed", () =>
    withMock(SINGLES, async (running) => {
      const page = await open(running, "130-5001");
      await page.getByTestId("revoke").click();
      expect(await page.getByTestId("submit").isDisabled()).toBe(true);
      await page.getByTestId("confirm-serial").fill("130-5001");
      await page.getByTestId("submit").click();
      await page.getByText("Revoked: 1 Chart Processing").waitFor();
      await page.getByTestId("rehost").click();
      await page.getByTestId("confirm-serial").fill("130-5001");
      await page.getByTestId("submit").click();
      await page.getByText("Say what has happened.").waitFor();
      await page.getByTestId("target").selectOption({ label: "130-5003" });
      await page.getByTestId("reason").fill("fell into the sea");
      await page.getByTestId("submit").click();
      await state(page, "BLOCKED");
      await page.getByText("It was replaced by 130-5003.").waitFor();
      expect(await page.getByTestId("offline").count()).toBe(0);
      await page.getByRole("link", { name: "130-5003" }).click();
      await state(page, "UPDATE_DUE");
    }));

  it("that is suspected is decided about with the reason in sight", () =>
    withMock(SINGLES, async (running) => {
      const page = await open(running, "130-5004");
      await page.getByTestId("decide").click();
      const dialog = page.getByRole("dialog");
      await dialog
        .getByTestId("suspect-reason")
        .getByText(/update counter/)
        .waitFor();
      await dialog.getByLabel("Block it").check();
      expect(await dialog.getByTestId("submit").isDisabled()).toBe(true);
      await dialog.getByLabel("Accept its state").check();
      await dialog.getByTestId("note").fill("restored from the backup of Monday");
      await dialog.getByTestId("submit").click();
      await state(page, "UP_TO_DATE");
    }));

  it("shows a viewer all and offers nothing", () =>
    withMock(SINGLES, async (running) => {
      const page = await open(running, "130-5002", "vera");
      await page.getByText("This needs the role operator").first().waitFor();
      for (const id of [
        "order",
        "start",
        "return",
        "revoke",
        "rehost",
        "decide",
        "offline-start",
      ]) {
        expect(await page.getByTestId(id).count(), id).toBe(0);
      }
      await page.getByRole("link", { name: "Containers" }).click();
      await page.getByTestId("container").first().waitFor();
      expect(await page.getByTestId("register").count()).toBe(0);
    }));

  it("that is not there is said to be not there", () =>
    withMock(SINGLES, async (running) => {
      const page = await open(running);
      await page.goto(`${page.url().split("?")[0]}/130-404`);
      await page.getByText("There is nothing at this address").waitFor();
    }));
});

it("a TMR group refuses a container's file before it is sent", () =>
  withMock(SINGLES, async (running) => {
    const page = await visitor();
    await signIn(page, running);
    await page.getByTestId("tmr-status").waitFor();
    await page.getByTestId("offline-toggle").click();
    await give(page, "request", offlineFile("request", ["130-5002"]));
    await page.getByText("It is of one container, not of a TMR group.").waitFor();
    await page.getByTestId("offline").getByRole("button", { name: "Choose another" }).click();
    const group = offlineFile("request", ["130-1", "130-2", "130-3"], "131-4837572");
    await give(page, "request", group);
    await page.getByTestId("request-file").getByText("130-1, 130-2, 130-3").waitFor();
    await page.getByTestId("offline-start").click();
    await page
      .getByTestId("failure")
      .getByText(/ROLLOUT_UP_TO_DATE/)
      .waitFor();
    expect(page.problems).toEqual([]);
  }));

it("is accessible in light and dark, wide and narrow", () =>
  withMock(SINGLES, async (running) => {
    const page = await visitor(NARROW_DARK);
    await signIn(page, running);
    await page.getByTestId("tmr-status").waitFor();
    await page.getByTestId("offline-toggle").click();
    await page.getByTestId("offline-step-3").waitFor();
    await look(page, "group-offline");
    const home = running.url + HOME;
    await page.goto(`${home}/containers`);
    await page.getByTestId("container").first().waitFor();
    await look(page, "containers");
    await page.getByTestId("register").click();
    await page.getByRole("dialog").getByTestId("submit").click();
    await look(page, "register");
    for (const serial of ["130-5001", "130-5002", "130-5004", "130-5005"]) {
      await page.goto(`${home}/containers/${serial}`);
      await page.getByTestId("container-page").waitFor();
      await look(page, `container-${serial}`);
    }
    await page.goto(`${home}/containers/130-5002`);
    await page.getByTestId("certify").locator("summary").click();
    await give(page, "request", offlineFile("request", ["130-5002"]));
    await page.getByTestId("offline-start").click();
    await state(page, "AWAITING_RECEIPT");
    await look(page, "offline");
    for (const what of ["return", "move", "revoke", "rehost"]) {
      await page.getByTestId(what).click();
      await page.getByRole("dialog").getByTestId("submit").waitFor();
      if (what === "move" || what === "rehost") await page.getByTestId("target").waitFor();
      await look(page, what);
      await page.getByTestId("cancel").click();
      await page.getByRole("dialog").waitFor({ state: "hidden" });
    }
    await page.goto(`${home}/containers/130-5004`);
    await page.getByTestId("decide").click();
    await page.getByRole("dialog").getByLabel("Block it").check();
    await look(page, "decide");
    await page.keyboard.press("Escape");
    await page.goto(`${home}/containers/130-5001`);
    await page.getByTestId("start").click();
    await page.getByRole("dialog").getByTestId("submit").waitFor();
    await look(page, "start");
  }));
