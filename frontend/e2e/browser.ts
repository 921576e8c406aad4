import { existsSync } from "node:fs";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { PASSWORD, startMock } from "../mock/server.mjs";
import { createWorld } from "../mock/world.mjs";

export type Mock = Awaited<ReturnType<typeof startMock>>;

const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** The system's Chromium, or the one that QUORATE_CHROMIUM names. */
export async function launch(): Promise<Browser> {
  const wanted = process.env["QUORATE_CHROMIUM"];
  const path = wanted ?? ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find(existsSync);
  if (!path) throw new Error("no Chromium: install the package chromium or set QUORATE_CHROMIUM");
  return chromium.launch({ executablePath: path, args: ARGUMENTS });
}

export function mock(options: Parameters<typeof createWorld>[0] = {}): Promise<Mock> {
  return startMock({ world: createWorld(options) });
}

export function turn(running: Mock, knobs: Record<string, unknown>): Promise<Response> {
  return fetch(`${running.url}/mock`, { method: "POST", body: JSON.stringify(knobs) });
}

export type Visit = Page & { problems: string[] };

/** A page of a fresh visitor, which notes errors of scripts and of the content security policy. */
export async function visit(browser: Browser, options: BrowserContextOptions = {}): Promise<Visit> {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  const page = (await context.newPage()) as Visit;
  page.problems = [];
  page.on("pageerror", (error) => page.problems.push(error.message));
  page.on("console", (message) => {
    const text = message.text();
    // A visitor who is not signed in gets 401 by design.
    if (message.type() === "error" && !/status of 40[13]|WebSocket/.test(text))
      page.problems.push(text);
  });
  return page;
}

/** Where the pages of the made-up vendor begin. */
export const HOME = "/v/org_0199a1b2-0000-7000-8000-000000000001";

/** Opens a path as a member; who signs in by hand is another test's matter. */
export async function signIn(
  page: Page,
  running: Mock,
  path = "/",
  name = "olivia",
): Promise<void> {
  await page.context().request.post(`${running.url}/auth/login`, {
    data: { email: `${name}@meridian.example`, password: PASSWORD },
  });
  await page.goto(running.url + path);
}

/** Opens a path, which leads to the form, and fills it in. */
export async function signInByHand(
  page: Page,
  running: Mock,
  path = "/",
  name = "olivia",
): Promise<void> {
  await page.goto(running.url + path);
  await page.getByLabel("E-mail address").fill(`${name}@meridian.example`);
  await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
}

/** Notes backend cells, status and quantity at each change of the status line. */
export async function record(page: Page): Promise<() => Promise<string[]>> {
  await page.evaluate(() => {
    const text = (id: string) => document.querySelector(`[data-testid="${id}"]`)?.textContent;
    const read = () =>
      [1, 2, 3]
        .map((n) => text(`backend-${n}-cell`))
        .concat(text("tmr-status") ?? "", text("tmr-quantity") ?? "")
        .join(" | ");
    const seen = [read()];
    const status = document.querySelector('[data-testid="tmr-status"]');
    if (status) {
      new MutationObserver(() => seen.push(read())).observe(status, {
        characterData: true,
        childList: true,
        subtree: true,
      });
    }
    Object.assign(window, { seen });
  });
  return () => page.evaluate(() => (window as unknown as { seen: string[] }).seen);
}
