import { describe, expect, it } from "vitest";
import { HOME, type Mock, signIn, type Visit } from "./browser";
import { look, NARROW_DARK } from "./check";
import { browserForAll, visitor, withMock } from "./suite";

browserForAll();

const CALM = { churn: false };
const RULES = `# Engineers first.
group engineers  user:a.meier user:j.okafor
allow       group:engineers  product:6000010:14
reserve 5   group:engineers  product:6000010:14   name:engineers-first
cap 2       user:"Dora Diaz" firm:6000010
deny        subnet:10.9.0.0/16
`;

const USERS = ["a.meier", "j.okafor", "l.chen", "p.novak", "y.tanaka", "m.rossi", "svc-build"];

const groupOf = (running: Mock): string => running.world.groups[0]?.id ?? "";

async function open(running: Mock, name = "olivia", page?: Visit): Promise<Visit> {
  const shown = page ?? (await visitor());
  await signIn(shown, running, `${HOME}/rules/131-4837572`, name);
  await shown.getByTestId("rules-page").waitFor();
  return shown;
}

describe("rules", () => {
  it("are written, checked against past grants, and saved at once when nobody is hit", () =>
    withMock(CALM, async (running) => {
      const page = await visitor();
      await signIn(page, running, HOME);
      await page.getByTestId("tmr-status").waitFor();
      await page.getByRole("link", { name: "Rules", exact: true }).click();
      await page.getByTestId("no-rules").waitFor();
      expect(await page.title()).toBe("Rules · Quorate");
      expect(await page.getByTestId("save-rules").isDisabled()).toBe(true);
      await page.getByTestId("rules-text").fill(RULES);
      await page.getByTestId("check-rules").click();
      await page
        .getByText("None of the 12 grants of the last 30 days would have been refused.")
        .waitFor();
      expect(running.world.rules.newest(groupOf(running))).toBeNull();
      await page.getByTestId("save-rules").click();
      await page.getByTestId("rules-done").getByText("Version 1 is saved.").waitFor();
      await page.getByText("Version 1, saved by Olivia Park").waitFor();
      const rows = await page.getByTestId("rules-table").locator("tr").allInnerTexts();
      expect(rows.slice(1).map((row) => row.split(/\s*\t\s*|\n/)[0])).toEqual([
        "Product 6000010:14",
        "Allow",
        "Reserve 5",
        "Firm 6000010",
        "At most 2",
        "All licenses",
        "Deny",
      ]);
      await page.getByTestId("rules-server").first().getByText("Has them").waitFor();
      expect(running.world.rules.newest(groupOf(running))?.text).toBe(RULES);
      expect(page.problems).toEqual([]);
    }));

  it("with a mistake are refused at their line, and what was typed stays", () =>
    withMock(CALM, async (running) => {
      const page = await open(running);
      const text = `${RULES}  permit user:anna\n`;
      await page.getByTestId("rules-text").fill(text);
      for (const button of ["check-rules", "save-rules"]) {
        await page.getByTestId(button).click();
        await page
          .getByTestId("rules-error")
          .getByText(/^Line 7, column 3: "permit" is not a kind of rule\. Begin with allow/)
          .waitFor();
        expect(await page.getByTestId("rules-text").inputValue()).toBe(text);
        expect(await page.getByTestId("wrong-line").evaluate((e) => e.style.top)).toBe("128px");
      }
      await page.getByTestId("go-to-line").click();
      await page.keyboard.type("# ");
      expect(await page.getByTestId("rules-text").inputValue()).toBe(
        `${RULES}  # permit user:anna\n`,
      );
      expect(await page.getByTestId("rules-error").count()).toBe(0);
      await page.getByTestId("save-rules").click();
      await page.getByTestId("rules-done").getByText("Version 1 is saved.").waitFor();
      expect(page.problems).toEqual([]);
    }));

  it("that would have refused grants name them, and are saved only when it is confirmed", () =>
    withMock(CALM, async (running) => {
      const page = await open(running);
      await page.getByTestId("rules-text").fill("deny user:a.meier\n");
      await page.getByTestId("save-rules").click();
      const dialog = page.getByRole("dialog", {
        name: "Save rules that would have refused grants?",
      });
      await dialog.getByTestId("keep-editing").waitFor();
      const hit = [...running.world.allocations.values()].filter((a) => a.user === "a.meier");
      expect(hit.length).toBeGreaterThan(0);
      expect(await dialog.getByTestId("refused-grant").count()).toBe(hit.length);
      const first = await dialog.getByTestId("refused-grant").first().textContent();
      expect(first).toMatch(
        /^a\.meier on \S+ · \S+ · Chart Processing 6000010:14 · .+Why: deny user/,
      );
      expect(await page.evaluate(() => document.activeElement?.textContent)).toBe("Go on editing");
      await page.keyboard.press("Enter");
      await dialog.waitFor({ state: "hidden" });
      expect(running.world.rules.newest(groupOf(running))).toBeNull();
      expect(await page.getByTestId("rules-text").inputValue()).toBe("deny user:a.meier\n");
      expect(await page.getByTestId("rules-report").getAttribute("data-refused")).toBe(
        String(hit.length),
      );
      await page.getByTestId("save-rules").click();
      await page.getByTestId("save-anyway").click();
      await page.getByTestId("rules-done").getByText("Version 1 is saved.").waitFor();
      expect(page.problems).toEqual([]);
    }));

  it("that somebody else saved meanwhile are not overwritten unseen", () =>
    withMock(CALM, async (running) => {
      const { rules } = running.world;
      rules.add(groupOf(running), "cap 5 user:p.novak\n", "Vera Lindt");
      const page = await open(running);
      await page.getByText("Version 1, saved by Vera Lindt").waitFor();
      await page.getByTestId("rules-text").fill("cap 6 user:p.novak\n");
      rules.add(groupOf(running), "cap 7 user:p.novak\n", "Vera Lindt");
      await page.getByTestId("save-rules").click();
      await page
        .getByTestId("failure")
        .getByText(/CONFLICT/)
        .waitFor();
      await page.getByTestId("overtaken").getByText("Vera Lindt saved version 2").waitFor();
      await page.getByTestId("rule").getByText("At most 7").waitFor();
      expect(await page.getByTestId("rules-text").inputValue()).toBe("cap 6 user:p.novak\n");
      expect(await page.getByTestId("save-rules").isDisabled()).toBe(true);
      await page.getByTestId("rebase").click();
      await page.getByTestId("save-rules").click();
      await page.getByTestId("rules-done").getByText("Version 3 is saved.").waitFor();

      await page.getByTestId("rules-version").selectOption("1");
      await page.getByTestId("rule").getByText("At most 5").waitFor();
      expect(new URL(page.url()).search).toBe("?version=1");
      await page.getByTestId("edit-version").click();
      expect(await page.getByTestId("rules-text").inputValue()).toBe("cap 5 user:p.novak\n");
      await page.getByRole("link", { name: "Items" }).click();
      await page.getByTestId("stay").click();
      await page.getByTestId("save-rules").click();
      await page.getByTestId("rules-done").getByText("Version 4 is saved.").waitFor();
      expect(page.problems).toEqual([]);
    }));

  it("of servers that go by a file of their own are told not to count there", () =>
    withMock(CALM, async (running) => {
      const group = running.world.groups[0];
      if (!group) throw new Error("the mock has a group");
      running.world.rules.add(group.id, RULES, "Olivia Park");
      group.serverRules = [
        { ownFile: true, digest: "" },
        { digest: "", problem: "the copy can't be written: the disk is full" },
      ];
      const page = await open(running, "vera");
      const servers = page.getByTestId("rules-server");
      await servers.first().getByText("File of its own").waitFor();
      await servers.last().getByText("Not yet").waitFor();
      await servers.last().getByText("The copy can't be written: the disk is full.").waitFor();
      // A viewer reads them, and is offered nothing.
      await page.getByText("This needs the role operator").waitFor();
      for (const id of ["rules-text", "check-rules", "save-rules"]) {
        expect(await page.getByTestId(id).count(), id).toBe(0);
      }
      await page.getByText("Show as text").click();
      await page.getByText("# Engineers first.").waitFor();
      await page.goto(`${running.url}${HOME}/rules/130-404`);
      await page.getByText("There is nothing at this address").waitFor();
    }));

  it("that can't be loaded or saved say why, with nothing lost", () =>
    withMock(CALM, async (running) => {
      const page = await open(running);
      running.world.rules.refusal = ["FORBIDDEN", "the rules are made by whose licenses they are"];
      await page.getByTestId("rules-text").fill("deny user:nobody\n");
      await page.getByTestId("save-rules").click();
      const note = page.getByTestId("failure");
      await note.getByText("The rules were not saved").waitFor();
      await note.getByText(/The rules are made by whose licenses they are\..*FORBIDDEN/).waitFor();
      expect(await page.getByTestId("rules-text").inputValue()).toBe("deny user:nobody\n");
      running.world.rules.refusal = null;
      await page.getByTestId("save-rules").click();
      await page.getByTestId("rules-done").getByText("Version 1 is saved.").waitFor();
      expect(await note.count()).toBe(0);

      await page.goto(`${running.url}${HOME}/rules/130-broken`);
      await page.getByText("The rules could not be loaded").waitFor();
      await page.getByRole("button", { name: "Try again" }).click();
      await note.getByText(/INTERNAL/).waitFor();
    }));

  it("of a container outside of groups are its own; of several, one is chosen", () =>
    withMock({ ...CALM, singles: true }, async (running) => {
      const page = await visitor();
      await signIn(page, running, `${HOME}/rules`);
      await page.getByRole("link", { name: /130-5001/ }).click();
      await page.getByTestId("no-rules").waitFor();
      await page.getByTestId("rules-text").fill("deny user:nobody\n");
      await page.getByTestId("save-rules").click();
      await page.getByTestId("rules-done").getByText("Version 1 is saved.").waitFor();
      expect(running.world.rules.newest(groupOf(running))).toBeNull();
      expect(page.problems).toEqual([]);
    }));

  it("are accessible in light and dark, wide and narrow", () =>
    withMock(CALM, async (running) => {
      const page = await open(running, "olivia", await visitor(NARROW_DARK));
      await look(page, "rules-none");
      running.world.rules.add(groupOf(running), RULES, "Olivia Park");
      await page.reload();
      await page.getByTestId("rule").first().waitFor();
      await page.getByTestId("rules-text").fill(`${RULES}permit user:anna\n`);
      await page.getByTestId("check-rules").click();
      await page.getByTestId("rules-error").waitFor();
      await look(page, "rules-wrong");
      await page
        .getByTestId("rules-text")
        .fill(`${RULES}${USERS.map((u) => `deny user:${u}\n`).join("")}`);
      await page.getByTestId("save-rules").click();
      await page.getByTestId("save-anyway").waitFor();
      await look(page, "rules-ask");
      await page.keyboard.press("Escape");
      await page.getByTestId("save-anyway").waitFor({ state: "hidden" });
      await look(page, "rules-checked");
    }));
});
