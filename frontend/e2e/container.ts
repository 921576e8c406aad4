// Brings licenses onto a container by files on a running platform, by the
// dashboard and the program: node e2e/container.ts URL EMAIL PASSWORD QUORATE FOLDER [SCREENSHOTS]
// The folder has container.qrc, made under the platform's root key. Prints what
// the page showed.
import { execFileSync } from "node:child_process";
import { launch, visit } from "./browser.ts";

const [url = "", email = "", password = "", quorate = "", folder = "", shots] =
  process.argv.slice(2);
const file = (name: string) => `${folder}/${name}`;
const run = (...args: string[]) =>
  execFileSync(quorate, [...args, "--container", file("container.qrc")], { stdio: "pipe" });

const browser = await launch();
try {
  const page = await visit(browser);
  page.setDefaultTimeout(60_000);
  const shoot = async (name: string): Promise<void> => {
    if (shots) await page.screenshot({ path: `${shots}/${name}.png`, fullPage: true });
  };
  const state = async (of: string): Promise<string> => {
    await page.locator(`[data-testid="container-page"][data-state="${of}"]`).waitFor();
    return of;
  };
  const saved = async (name: string, press: () => Promise<void>): Promise<void> => {
    const [download] = await Promise.all([page.waitForEvent("download"), press()]);
    await download.saveAs(file(name));
  };
  const seen: string[] = [];

  await page.goto(url);
  await page.getByLabel("E-mail address").fill(email);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("link", { name: "Containers" }).click();

  run("request", "-o", file("first.lreq"));
  await page.getByTestId("register").click();
  const dialog = page.getByRole("dialog");
  await dialog.getByTestId("request-picker").setInputFiles(file("first.lreq"));
  await dialog.getByTestId("submit").click();
  await dialog.getByRole("link", { name: "Open it" }).click();
  seen.push(await state("UP_TO_DATE"));

  await page.getByTestId("order").click();
  await page.getByTestId("order-quantity").fill("5");
  await page.getByTestId("order-submit").click();
  seen.push(await state("UPDATE_DUE"));

  run("request", "-o", file("one.lreq"));
  const offline = page.getByTestId("offline");
  await offline.getByTestId("request-picker").first().setInputFiles(file("one.lreq"));
  await page.getByTestId("offline-start").click();
  seen.push(await state("AWAITING_RECEIPT"));
  await saved("first.lupd", () => page.getByTestId("offline-download").click());
  await page.reload();
  await saved("one.lupd", () => page.getByTestId("offline-download").click());
  await shoot("container-waits");
  run("apply", file("one.lupd"), "--receipt", file("one.lrcp"));
  await offline.getByTestId("receipt-picker").setInputFiles(file("one.lrcp"));
  await page.getByTestId("offline-finish").click();
  seen.push(await state("UP_TO_DATE"));
  const held = await page.locator('[data-label="On it"]').textContent();
  await shoot("container-done");

  run("request", "-o", file("time.lreq"));
  const certify = page.getByTestId("certify");
  await certify.locator("summary").click();
  await certify.getByTestId("request-picker").setInputFiles(file("time.lreq"));
  await saved("time.lupd", () => certify.getByTestId("certify-submit").click());
  run("apply", file("time.lupd"));

  await page.getByTestId("return").click();
  await page.getByTestId("quantity").fill("2");
  await page.getByTestId("submit").click();
  await page.locator('[data-testid="transfer"][data-state="REQUESTED"]').waitFor();
  seen.push(await state("UPDATE_DUE"));
  await shoot("container-returns");
  process.stdout.write(`${JSON.stringify({ states: seen, held, problems: page.problems })}\n`);
} finally {
  await browser.close();
}
