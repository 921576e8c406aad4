import type { Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import { HOME, type Mock, record, signIn, signInByHand, turn, type Visit } from "./browser";
import { look, NARROW_DARK } from "./check";
import { browserForAll, visitor, withMock } from "./suite";

browserForAll();

const STAGES = [
  "20/#7 | 20/#7 | 20/#7 | 1:#7 2:#7 3:#7 | 20",
  "– | 20/#7 | 20/#7 | 1:- 2:#7 3:#7 | 20",
  "30/#8 | 20/#7 | 20/#7 | 1:(#8) 2:#7 3:#7 | 20",
  "30/#8 | – | 20/#7 | 1:(#8) 2:- 3:#7 | 20",
  "30/#8 | 30/#8 | 20/#7 | 1:#8 2:#8 3:(#7) | 30",
  "30/#8 | 30/#8 | – | 1:#8 2:#8 3:- | 30",
  "30/#8 | 30/#8 | 30/#8 | 1:#8 2:#8 3:#8 | 30",
];

/** What waits for it goes on when it is opened. */
function gate() {
  let open = () => {};
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { passed, open: () => open() };
}

async function order(page: Page): Promise<void> {
  await page.getByTestId("order").click();
  await page.getByTestId("order-quantity").fill("10");
  await page.getByTestId("order-submit").click();
  await page.getByTestId("order-submit").waitFor({ state: "hidden" });
}

describe("a rollout", () => {
  it("is ordered and started by hand, and shows each stage of the table", () =>
    withMock({ pace: 40 }, async (running) => {
      const page = await visitor();
      await signInByHand(page, running);
      await page.getByTestId("live").getByText("Live").waitFor();
      expect(await page.getByTestId("start-rollout").isDisabled()).toBe(true);
      await order(page);
      await page.getByText("20 → 30 licenses, TMR-ID #7 → #8").first().waitFor();
      const stages = await record(page);
      await page.getByTestId("start-rollout").click();
      await page.locator('[data-testid="rollout"][data-state="DONE"]').waitFor();
      expect(await stages()).toEqual(STAGES);
      expect(await page.getByTestId("tmr-verdict").textContent()).toBe("Fully redundant");
      expect(page.problems).toEqual([]);
    }));

  it("loses no stage when all arrive at once, in front or behind another tab", () =>
    withMock({}, async (running) => {
      for (const hidden of [false, true]) {
        const page = await visitor();
        if (hidden) {
          await page.addInitScript(() => {
            Object.defineProperty(document, "visibilityState", { get: () => "hidden" });
            window.requestAnimationFrame = () => 0;
          });
        }
        await signIn(page, running);
        await page.getByTestId("live").getByText("Live").waitFor();
        await page.getByText("TMR-ID #7 is in force").waitFor();
        const stages = await record(page);
        await turn(running, { burst: true });
        await page.getByText("TMR-ID #8 is in force").waitFor();
        await expect.poll(stages).toEqual(STAGES);
        expect(page.problems).toEqual([]);
        for (const group of running.world.groups) group.held = [7, 7, 7];
        await page.context().close();
      }
    }));

  it("that is held says why, and goes on when asked", () =>
    withMock({ pace: 30 }, async (running) => {
      const page = await visitor();
      await signIn(page, running);
      await order(page);
      await turn(running, { failNext: 2 });
      await page.getByTestId("start-rollout").click();
      await page.getByTestId("retry-rollout").waitFor();
      expect(await page.getByTestId("blocker").textContent()).toContain("BACKEND_ABSENT");
      expect(await page.getByTestId("abort-rollout").count()).toBe(0);
      await page.getByTestId("retry-rollout").click();
      await page.locator('[data-testid="rollout"][data-state="DONE"]').waitFor();
    }));
});

describe("a rollout that nobody wants any more", () => {
  it("is aborted before the first activation, and its TMR-ID is not used again", () =>
    withMock({ pace: 3_000 }, async (running) => {
      const page = await visitor();
      await signIn(page, running);
      await order(page);
      await page.getByTestId("start-rollout").click();
      await page.getByTestId("abort-rollout").click();
      await page.locator('[data-testid="rollout"][data-state="ABORTED"]').waitFor();
      await page.getByText("20 → 30 licenses, TMR-ID #7 → #9").waitFor();
      await expect.poll(() => page.getByTestId("start-rollout").isEnabled()).toBe(true);
    }));
});

describe("a group", () => {
  it("shows a lost majority, a failover and a lost link", () =>
    withMock({}, async (running) => {
      const page = await visitor();
      await signIn(page, running);
      await page.getByTestId("live").getByText("Live").waitFor();
      await turn(running, { down: [1, 2], servers: ["DOWN", "ACTIVE"] });
      await page.getByText("No majority: licenses unavailable").waitFor();
      expect(await page.getByTestId("tmr-quantity").textContent()).toBe("0");
      expect(await page.getByTestId("backend-1-state").textContent()).toBe("Down");
      expect(await page.getByTestId("start-rollout").isDisabled()).toBe(true);
      await page.getByText("held by tmr-b").waitFor();
      await turn(running, { linked: false });
      await page.getByText("The platform does not hear from this group now.").waitFor();
      expect(page.problems).toEqual([]);
    }));

  it("follows again after the connection was lost", () =>
    withMock({}, async (running) => {
      const page = await visitor();
      await signIn(page, running);
      await page.getByTestId("live").getByText("Live").waitFor();
      await turn(running, { drop: true });
      await page.getByTestId("live").getByText("Reconnecting since").waitFor();
      await page.getByTestId("live").getByText("Live").waitFor();
      await turn(running, { down: [3] });
      await expect.poll(() => page.getByTestId("tmr-status").textContent()).toBe("1:#7 2:#7 3:-");
    }));

  it("that is the only one leads nobody away who is on his way to another page", () =>
    withMock({}, async (running) => {
      const page = await visitor();
      const groups = gate();
      const code = gate();
      await page.route("**/graphql", async (route) => {
        if (route.request().postData()?.includes("tmrGroups")) await groups.passed;
        await route.continue();
      });
      await signIn(page, running);
      await page.getByRole("heading", { name: "TMR groups" }).waitFor();
      await page.route("**/assets/*.js", async (route) => {
        await code.passed;
        await route.continue();
      });
      const wanted = page.waitForRequest("**/assets/*.js");
      await page.getByRole("link", { name: "Containers" }).click();
      await wanted;
      const answered = page.waitForResponse("**/graphql");
      groups.open();
      await (await answered).finished();
      await page.evaluate(
        () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))),
      );
      code.open();
      await page.getByRole("heading", { name: "Containers" }).waitFor();
      expect(new URL(page.url()).pathname).toMatch(/\/containers$/);
    }));

  it("is chosen from a list when there are several", () =>
    withMock({ groups: 3 }, async (running) => {
      const page = await visitor();
      await signIn(page, running);
      await page.getByRole("heading", { name: "TMR groups" }).waitFor();
      await page.getByRole("link", { name: /Laboratory 1/ }).click();
      await page.getByRole("heading", { name: "Laboratory 1" }).waitFor();
    }));
});

describe("live allocations", () => {
  const open = async (running: Mock, name = "olivia"): Promise<Visit> => {
    const page = await visitor();
    await signIn(page, running, `${HOME}/allocations`, name);
    await page.getByTestId("allocation").first().waitFor();
    return page;
  };

  it("are released only after a question that starts at Keep", () =>
    withMock({ churn: false }, async (running) => {
      const page = await open(running);
      const row = page.getByTestId("allocation").first();
      const id = await row.getAttribute("data-id");
      await row.getByRole("button", { name: /^Release/ }).click();
      await expect
        .poll(() => page.evaluate(() => document.activeElement?.getAttribute("data-testid")))
        .toBe("keep");
      await page.keyboard.press("Enter");
      await page.getByTestId("keep").waitFor({ state: "hidden" });
      expect(running.world.allocations.has(id)).toBe(true);

      await row.getByRole("button", { name: /^Release/ }).click();
      await page.getByTestId("release").click();
      await page.mouse.move(2, 2);
      await expect
        .poll(() => page.locator(`[data-id="${id}"]`).count(), { timeout: 10_000 })
        .toBe(0);
      expect(await page.getByTestId("figure-allocations").textContent()).toBe("11");
      expect(page.problems).toEqual([]);
    }));

  it("tell all about one when its row is pressed", () =>
    withMock({ churn: false }, async (running) => {
      const page = await open(running);
      // Over the cell lies what opens the row, so the click is forced through.
      await page.getByTestId("allocation").nth(1).locator("td").nth(2).click({ force: true });
      await page.getByRole("dialog", { name: "Allocation" }).getByText("Handle").waitFor();
    }));

  it("are walked through and filtered with the keyboard", () =>
    withMock({ churn: false }, async (running) => {
      const page = await open(running);
      await page.keyboard.press("j");
      await page.keyboard.press("j");
      await expect
        .poll(() =>
          page.evaluate(() => document.activeElement?.closest("tr")?.getAttribute("data-index")),
        )
        .toBe("1");
      await page.keyboard.press("r");
      await page.getByTestId("keep").waitFor();
      await page.keyboard.press("Escape");
      await page.getByTestId("keep").waitFor({ state: "hidden" });
      await page.keyboard.press("/");
      await page.keyboard.type("l.chen");
      await expect.poll(() => page.getByTestId("shown").textContent()).toBe("2 shown");
      expect(new URL(page.url()).search).toBe("?q=l.chen");
      await page.keyboard.press("Escape");
      await page.keyboard.press("g");
      await page.keyboard.press("t");
      await page.getByTestId("tmr-status").waitFor();
    }));

  it("keep their order under the pointer and count what waits", () =>
    withMock({ churn: false }, async (running) => {
      const page = await open(running);
      await page.getByTestId("allocation").first().hover();
      await turn(running, { programs: 15 });
      await page.getByText("3 changes: apply").waitFor();
      expect(await page.getByTestId("allocation").count()).toBe(12);
      await page.mouse.move(2, 2);
      await expect.poll(() => page.getByTestId("allocation").count()).toBe(15);
    }));

  it("stay quick with thousands of rows", () =>
    withMock({ churn: false, programs: 5_000 }, async (running) => {
      const page = await open(running);
      expect(await page.getByTestId("figure-allocations").textContent()).toBe("5,000");
      expect(await page.getByTestId("allocation").count()).toBeLessThan(80);
    }));

  it("offer no release to a viewer", () =>
    withMock({ churn: false }, async (running) => {
      const page = await open(running, "vera");
      expect(
        await page
          .getByRole("button", { name: /^Release/ })
          .first()
          .isDisabled(),
      ).toBe(true);
      await page.getByRole("link", { name: "TMR groups" }).click();
      await page.getByText("This needs the role operator").waitFor();
      expect(await page.getByTestId("order").isDisabled()).toBe(true);
    }));
});

describe("what goes wrong", () => {
  it("is said in its place", () =>
    withMock({}, async (running) => {
      const page = await visitor();
      await page.goto(running.url);
      await page.getByLabel("E-mail address").fill("olivia@meridian.example");
      await page.getByLabel("Password", { exact: true }).fill("wrong");
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.getByText("Unknown e-mail address or wrong password.").waitFor();

      await signInByHand(page, running);
      await page.getByTestId("tmr-status").waitFor();
      const home = page.url().replace(/\/tmr-groups.*/, "");
      await page.goto(`${home}/tmr-groups/131-999`);
      await page.getByText("There is nothing at this address").waitFor();
      await page.goto(`${home}/nowhere`);
      await page.getByText("There is nothing at this address").waitFor();
      await page.goto(`${home}/tmr-groups/tmr_broken`);
      await page
        .getByTestId("failure")
        .getByText(/INTERNAL · request /)
        .waitFor();
      await page.goto(`${running.url}/v/org_of_others/tmr-groups`);
      await page.getByTestId("no-access").waitFor();
    }));

  it("brings back where one was after signing in again", () =>
    withMock({}, async (running) => {
      const page = await visitor();
      await signInByHand(page, running);
      await page.getByTestId("tmr-status").waitFor();
      const address = `${page.url()}?filter=not-unanimous`;
      await page.context().clearCookies();
      await page.goto(address);
      await page.getByRole("heading", { name: "Sign in" }).waitFor();
      await signInByHand(page, running, new URL(page.url()).pathname + new URL(page.url()).search);
      await page.getByText("All licenses are unanimous").waitFor();
      expect(page.url()).toBe(address);
      await page.getByTestId("user-menu").click();
      await page.getByTestId("sign-out").click();
      await page.getByRole("heading", { name: "Sign in" }).waitFor();
    }));
});

it("is accessible in light and dark, wide and narrow", () =>
  withMock({ pace: 60, churn: false }, async (running) => {
    const page = await visitor(NARROW_DARK);
    await page.goto(running.url);
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    await look(page, "sign-in");
    await signInByHand(page, running);
    await page.getByTestId("tmr-status").waitFor();
    await look(page, "group");
    await page.getByTestId("order").click();
    await page.getByTestId("order-quantity").waitFor();
    await look(page, "order");
    await page.getByTestId("order-quantity").fill("10");
    await page.getByTestId("order-submit").click();
    await turn(running, { failNext: 2 });
    await page.getByTestId("start-rollout").click();
    await page.getByTestId("retry-rollout").waitFor();
    await turn(running, { down: [2], servers: ["DOWN", "ACTIVE"], linked: false });
    await page.getByText("held by tmr-b").waitFor();
    await look(page, "held");
    await page.getByTestId("user-menu").click();
    await page.getByTestId("sign-out").waitFor();
    await look(page, "menu");
    await page.keyboard.press("Escape");
    await page.goto(`${running.url}${HOME}/allocations`);
    await page.getByTestId("allocation").first().waitFor();
    await look(page, "allocations");
    await page
      .getByTestId("allocation")
      .first()
      .getByRole("button", { name: /^Release/ })
      .click();
    await page.getByTestId("keep").waitFor();
    await look(page, "release");
  }));
