// Has an owner invite a person, who joins, gets a second factor and makes a
// token, on a running platform whose vendor has a test environment: node
// e2e/people.ts URL EMAIL PASSWORD [SCREENSHOTS]. Prints what the pages and the
// API showed.
import { createHmac } from "node:crypto";
import { launch, type Visit, visit } from "./browser.ts";

const [url = "", email = "", password = "", shots] = process.argv.slice(2);
const NINA = { email: "nina@example.com", name: "Nina Hartmann", password: "a long password" };

/** The code of an authenticator, so many steps of 30 seconds from now. */
function codeOf(secret: string, steps = 0): string {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const bits = secret.replace(/./g, (c) => letters.indexOf(c).toString(2).padStart(5, "0"));
  const key = Buffer.from((bits.match(/.{8}/g) ?? []).map((b) => Number.parseInt(b, 2)));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + steps));
  const sum = createHmac("sha1", key).update(step).digest();
  const at = (sum[19] ?? 0) & 15;
  return String((sum.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

/** What the API says to a token: the viewer's name, or the code of the error. */
async function says(token: string): Promise<string> {
  const response = await fetch(`${url}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
    body: JSON.stringify({ query: "{ viewer { name role } }" }),
  });
  const { data, errors } = (await response.json()) as {
    data?: { viewer: { name: string; role: string } };
    errors?: { extensions: { code: string } }[];
  };
  return data ? `${data.viewer.name} ${data.viewer.role}` : (errors?.[0]?.extensions.code ?? "");
}

async function signIn(page: Visit, as: string, by: string): Promise<void> {
  await page.getByLabel("E-mail address").fill(as);
  await page.getByLabel("Password", { exact: true }).fill(by);
  await page.getByRole("button", { name: "Sign in" }).click();
}

async function switchTo(page: Visit, n: number): Promise<void> {
  await page.getByTestId("organization").click();
  await page.getByTestId("organization-choice").nth(n).click();
}

const browser = await launch();
try {
  const owner = await visit(browser);
  const nina = await visit(browser);
  for (const page of [owner, nina]) page.setDefaultTimeout(15_000);
  const shoot = async (page: Visit, name: string): Promise<void> => {
    if (shots) await page.screenshot({ path: `${shots}/${name}.png`, fullPage: true });
  };

  await owner.goto(url);
  await signIn(owner, email, "not this one");
  const refused = await owner.getByRole("alert").textContent();
  await signIn(owner, email, password);
  await owner.getByRole("link", { name: "Members" }).click();
  await owner.getByRole("button", { name: "Invite", exact: true }).click();
  const dialog = owner.getByRole("dialog");
  await dialog.getByLabel("E-mail address").fill(NINA.email);
  await dialog.getByLabel("Role").selectOption("OPERATOR");
  await dialog.getByTestId("submit").click();
  const link = (await dialog.getByTestId("invitation-link").textContent()) ?? "";
  await shoot(owner, "people-invited");
  await owner.keyboard.press("Escape");
  await owner.getByTestId("invitation").getByText(NINA.email).waitFor();

  await nina.goto(link);
  await nina.getByLabel("Your name").fill(NINA.name);
  await nina.getByLabel("Password", { exact: true }).fill(NINA.password);
  await nina.getByLabel("Password again").fill(NINA.password);
  await nina.getByRole("button", { name: "Join" }).click();
  await nina.getByTestId("user-menu").click();
  await nina.getByTestId("account").click();
  await nina.getByRole("button", { name: "Set up…" }).click();
  await nina.getByLabel("Your password", { exact: true }).fill(NINA.password);
  await nina.getByRole("button", { name: "Set up", exact: true }).click();
  const secret = (await nina.getByTestId("totp-secret").textContent()) ?? "";
  await nina.getByLabel("The code that it shows").fill(codeOf(secret));
  await nina.getByRole("button", { name: "Switch on" }).click();
  await nina.getByTestId("recovery-codes").waitFor();
  const recovery = await nina.getByTestId("recovery-codes").getByRole("listitem").count();
  await nina.getByRole("button", { name: "I have kept them" }).click();
  await nina.getByText(`${recovery} recovery codes are left`).waitFor();
  await shoot(nina, "people-account");
  await nina.getByTestId("user-menu").click();
  await nina.getByTestId("sign-out").click();
  await signIn(nina, NINA.email, NINA.password);
  await nina.getByLabel("Code").fill(codeOf(secret, 1));
  await nina.getByRole("button", { name: "Sign in" }).click();
  await nina.getByTestId("user-menu").getByText(NINA.name).waitFor();

  await owner.reload();
  await owner.getByLabel(`Role of ${NINA.name}`).selectOption("ADMINISTRATOR");
  await owner.getByTestId("confirm").click();
  await owner.getByRole("dialog").waitFor({ state: "hidden" });
  await shoot(owner, "people-members");
  await nina.reload(); // The page asks who one is when it is loaded.
  await nina.getByRole("link", { name: "API tokens" }).click();
  await nina.getByRole("button", { name: "New token" }).click();
  await nina.getByLabel("What it is for").fill("ci");
  const roles = await nina.getByLabel("What it may do at most").locator("option").allTextContents();
  await nina.getByLabel("What it may do at most").selectOption("OPERATOR");
  await nina.getByTestId("submit").click();
  const token = (await nina.getByTestId("token-secret").textContent()) ?? "";
  await nina.getByRole("dialog").getByRole("button", { name: "Close" }).last().click();
  const works = await says(token);
  await nina.getByRole("button", { name: "Revoke ci" }).click();
  await nina.getByTestId("confirm").click();
  await nina.getByTestId("token").filter({ hasText: "ci" }).getByText("Revoked").waitFor();
  const revoked = await says(token);
  await shoot(nina, "people-tokens");

  await switchTo(owner, 1);
  await owner.getByTestId("test-band").waitFor();
  await owner.getByRole("link", { name: "API tokens" }).click();
  await owner.getByText("No tokens yet").waitFor();
  await shoot(owner, "people-test-environment");
  await switchTo(owner, 0);
  await owner.getByTestId("test-band").waitFor({ state: "detached" });
  await owner.getByRole("link", { name: "API tokens" }).click();
  await owner.getByTestId("token").first().waitFor();
  const tokens = await owner.getByTestId("token").locator("b").allTextContents();

  await owner.getByRole("link", { name: "Identity providers" }).click();
  await owner.getByRole("button", { name: "Add a provider" }).click();
  await owner.getByLabel("Name").fill("Company account");
  await owner.getByLabel("Issuer").fill("https://127.0.0.1:1");
  await owner.getByLabel("Client id").fill("quorate");
  await owner.getByTestId("submit").click();
  await owner.locator('input[type="url"][aria-invalid="true"]').waitFor();
  const issuer = await owner.getByTestId("failure").textContent();
  await shoot(owner, "people-identity-provider");
  process.stdout.write(
    `${JSON.stringify({
      refused,
      recovery,
      roles,
      works,
      revoked,
      tokens,
      issuer,
      problems: [...owner.problems, ...nina.problems],
    })}\n`,
  );
} finally {
  await browser.close();
}
