// Presses the buttons of the main job on a running platform, and prints what
// the page showed: node e2e/job.ts URL EMAIL PASSWORD [SCREENSHOTS]
import { launch, record, visit } from "./browser.ts";

const [url = "", email = "", password = "", shots] = process.argv.slice(2);
const browser = await launch();
try {
  const page = await visit(browser);
  page.setDefaultTimeout(60_000);
  const shoot = async (name: string): Promise<void> => {
    if (shots) await page.screenshot({ path: `${shots}/${name}.png` });
  };
  await page.goto(url);
  await page.getByLabel("E-mail address").fill(email);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByTestId("live").getByText("Live").waitFor();
  await page.getByText("TMR-ID #7 is in force").waitFor();
  await shoot("before");
  await page.getByTestId("order").click();
  await page.getByTestId("order-quantity").fill("10");
  await shoot("order");
  await page.getByTestId("order-submit").click();
  await page.getByTestId("order-submit").waitFor({ state: "hidden" });
  const stages = await record(page);
  await page.getByTestId("start-rollout").click();
  await page.getByTestId("step-2").and(page.locator('[data-state="VERIFYING"]')).waitFor();
  await shoot("rollout");
  await page.locator('[data-testid="rollout"][data-state="DONE"]').waitFor();
  await shoot("after");
  const seen = await stages();

  await page.getByRole("link", { name: "Live allocations" }).click();
  await page.getByTestId("allocation").first().waitFor();
  const allocations = await page.getByTestId("figure-allocations").textContent();
  await shoot("allocations");

  await page.getByRole("link", { name: "Rules", exact: true }).click();
  await page.getByTestId("rules-text").fill("# Not he.\nforbid user:p.novak\n");
  await page.getByTestId("check-rules").click();
  const mistake = await page.getByTestId("rules-error").textContent();
  await page.getByTestId("rules-text").fill("# Not he.\ndeny user:p.novak\n");
  await page.getByTestId("check-rules").click();
  const refused = await page.getByTestId("refused-grant").first().textContent();
  await page.getByTestId("save-rules").click();
  await page.getByTestId("save-anyway").waitFor();
  await shoot("rules");
  await page.getByTestId("save-anyway").click();
  await page.getByTestId("rules-done").getByText("Version 1 is saved.").waitFor();
  for (const server of ["tmr-a", "tmr-b"]) {
    const row = page.getByTestId("rules-server").filter({ hasText: server });
    await row.getByText("Has them").waitFor();
  }
  process.stdout.write(
    `${JSON.stringify({ stages: seen, allocations, mistake, refused, problems: page.problems })}\n`,
  );
} finally {
  await browser.close();
}
