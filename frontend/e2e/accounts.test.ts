import { describe, expect, it } from "vitest";
import { HOME, signIn } from "./browser";
import { look, NARROW_DARK } from "./check";
import { browserForAll, visitor, withMock } from "./suite";

browserForAll();

describe("who signs in", () => {
  it("gets the code asked for, and his organization's own way", () =>
    withMock({}, async (running) => {
      const page = await visitor(NARROW_DARK);
      await page.goto(`${running.url}/login`);
      await page.getByLabel("E-mail address").fill("olivia@meridian.example");
      await page.getByRole("button", { name: "Use your organization" }).click();
      await page.getByTestId("provider").waitFor();
      await look(page, "sign-in");
      running.world.secondFactor = true;
      await page.getByLabel("Password", { exact: true }).fill("correct horse");
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.getByLabel("Code").fill("000000");
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.getByText("The code is wrong.").waitFor();
      await look(page, "code");
      await page.getByLabel("Code").fill("123456");
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.getByTestId("organization").waitFor();
      expect(page.problems).toEqual([]);
    }));

  it("is invited", () =>
    withMock({}, async (running) => {
      const page = await visitor(NARROW_DARK);
      await page.goto(`${running.url}/invitation#qri_made-up`);
      await page.getByLabel("Password again").waitFor();
      await look(page, "invitation");
      expect(page.problems).toEqual([]);
    }));
});

describe("who is signed in", () => {
  it("sees to his account", () =>
    withMock({}, async (running) => {
      const page = await visitor(NARROW_DARK);
      await signIn(page, running, `${HOME}/account`);
      await page.getByText("This one").waitFor();
      await look(page, "account");
      await page.getByRole("button", { name: "Set up…" }).click();
      await page.getByLabel("Your password", { exact: true }).fill("correct horse");
      await page.getByRole("button", { name: "Set up", exact: true }).click();
      await page.getByAltText("The secret as a QR code").waitFor();
      await look(page, "second-factor");
      await page.getByLabel("The code that it shows").fill("123456");
      await page.getByRole("button", { name: "Switch on" }).click();
      await page.getByTestId("recovery-codes").waitFor();
      await look(page, "recovery-codes");
      expect(page.problems).toEqual([]);
    }));

  it("invites, changes a role and makes a token", () =>
    withMock({}, async (running) => {
      const page = await visitor(NARROW_DARK);
      await signIn(page, running, `${HOME}/members`);
      await page.getByLabel("Role of Vera Lindt").selectOption("OPERATOR");
      await look(page, "change-role");
      await page.getByTestId("confirm").click();
      await page.getByLabel("Add a member to Operations").selectOption({ label: "Vera Lindt" });
      await page.getByText("1 member", { exact: false }).first().waitFor();
      await look(page, "members");
      await page.getByRole("button", { name: "Invite", exact: true }).click();
      await page.getByRole("dialog").getByLabel("E-mail address").fill("nina@meridian.example");
      await look(page, "invite");
      await page.getByTestId("submit").click();
      await page.getByTestId("invitation-link").waitFor();
      expect(await page.getByTestId("invitation-link").textContent()).toBe(
        `${running.url}/invitation#qri_made-up`,
      );
      await page.getByRole("dialog").getByRole("button", { name: "Close" }).last().click();
      await page.getByTestId("invitation").getByText("nina@meridian.example").waitFor();

      await page.getByRole("button", { name: "New link for nina@meridian.example" }).click();
      await page.getByTestId("confirm").click();
      await page.getByTestId("invitation-link").getByText("qri_made-anew").waitFor();
      await look(page, "new-link");

      await page.goto(`${running.url}${HOME}/tokens`);
      await page.getByRole("button", { name: "New token" }).click();
      await page.getByLabel("What it is for").fill("ci");
      await page.getByLabel("What it may do at most").selectOption("ADMINISTRATOR");
      await page.getByLabel("Limit it further").check();
      await look(page, "new-token");
      await page.getByTestId("submit").click();
      await page.getByTestId("token-secret").waitFor();
      await look(page, "token-secret");
      expect(page.problems).toEqual([]);
    }));

  it("has an identity provider asked, tried and enforced", () =>
    withMock({}, async (running) => {
      const page = await visitor(NARROW_DARK);
      await signIn(page, running, `${HOME}/identity-providers`);
      await page.getByText("No identity provider yet").waitFor();
      await page.getByRole("button", { name: "Add a provider" }).click();
      await page.getByLabel("Name").fill("Company account");
      await page.getByLabel("Issuer").fill("https://unknown.meridian.example");
      await page.getByLabel("Client id").fill("quorate");
      await page.getByLabel("Client secret", { exact: true }).fill("a secret of the client");
      await page.getByLabel("E-mail domains").fill("meridian.example, meridian-software.example");
      await page.getByTestId("submit").click();
      await page.getByTestId("failure").waitFor();
      await look(page, "identity-provider");
      await page.getByLabel("Issuer").fill("https://id.meridian.example");
      await page.getByTestId("submit").click();
      await page.getByTestId("identity-provider").waitFor();
      await page.getByRole("button", { name: "Try Company account" }).click();
      await page.getByTestId("sign-in-link").waitFor();
      await look(page, "identity-provider-try");
      await page.getByRole("dialog").getByRole("button", { name: "Close" }).click();
      await page.getByRole("button", { name: "Enforce Company account" }).click();
      await page.getByTestId("confirm").waitFor();
      await look(page, "identity-provider-enforce");
      await page.getByTestId("confirm").click();
      await page.getByText("Enforced", { exact: true }).waitFor();
      await look(page, "identity-providers");
      expect(page.problems).toEqual([]);
    }));

  it("acts in the test environment, and can't overlook it", () =>
    withMock({}, async (running) => {
      const page = await visitor(NARROW_DARK);
      await signIn(page, running);
      await page.getByTestId("organization").click();
      await page.getByTestId("organization-choice").nth(1).waitFor();
      await look(page, "switch");
      await page.getByTestId("organization-choice").nth(1).click();
      await page.getByTestId("test-band").waitFor();
      await look(page, "test-environment");
      expect(page.problems).toEqual([]);
    }));
});
