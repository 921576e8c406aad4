import { MantineProvider } from "@mantine/core";
import { render, screen, waitFor } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { useState } from "react";
import { Provider } from "urql";
import { describe, expect, it, vi } from "vitest";
import { type Answer, stubClient } from "../test/client";
import { Change, useDraft } from "./change";
import { Earlier } from "./earlier";
import type { RuleSet } from "./model";
import type { RulesPlace } from "./use-rules";

vi.mock("@tanstack/react-router", () => ({ useBlocker: () => ({ status: "idle" }) }));

const rules = { digest: "", ownFile: false, problem: "" };
const server = { name: "lic-1", role: "ACTIVE" as const, rules };

function placeSample(servers: RulesPlace["servers"]): RulesPlace {
  return { serial: "130-1", ids: { container: "con_1" }, group: null, customer: null, servers };
}

const setOf = (version: number, text: string): RuleSet => ({
  id: `rls_${version}`,
  version,
  text,
  digest: `d${version}`,
  savedBy: "Olivia Park",
  createdAt: "2026-11-22T08:00:00Z",
  rules: [],
});

const saved = (set: RuleSet): Answer => ({
  data: {
    saveRules: {
      saved: true,
      ruleSet: set,
      report: {
        since: "2026-10-23T08:00:00Z",
        checked: 0,
        complete: true,
        refusedCount: 0,
        unsure: 0,
        unknownQuantities: [],
        refused: [],
      },
    },
  },
});

function Held({ servers }: { servers: RulesPlace["servers"] }) {
  const [newest, setNewest] = useState<RuleSet | null>(setOf(1, "old"));
  const draft = useDraft(newest);
  return (
    <Change
      place={placeSample(servers)}
      newest={newest}
      draft={draft}
      onSaved={setNewest}
      onEnd={() => {}}
    />
  );
}

function show(answer: Answer | Promise<Answer>, servers: RulesPlace["servers"] = [server]) {
  const { client, sent } = stubClient(answer, saved(setOf(3, "old one two")));
  render(
    <Provider value={client}>
      <MantineProvider env="test">
        <Held servers={servers} />
      </MantineProvider>
    </Provider>,
  );
  return { sent, user: userEvent.setup(), text: screen.getByTestId("rules-text") };
}

describe("a change", () => {
  it("that is typed on while it is saved keeps what was typed, as a change of what was saved", async () => {
    let resolve: (answer: Answer) => void = () => {};
    const promise = new Promise<Answer>((done) => {
      resolve = done;
    });
    const { sent, user, text } = show(promise);
    await user.type(text, " one");
    await user.click(screen.getByTestId("save-rules"));
    await user.type(text, " two");
    resolve(saved(setOf(2, "old one")));
    await screen.findByText(/^Version 2 is saved/);
    expect(text).toHaveValue("old one two");
    expect(screen.queryByTestId("overtaken")).toBeNull();
    await user.click(screen.getByTestId("save-rules"));
    await screen.findByText(/^Version 3 is saved/);
    expect(
      sent.map(({ variables: { input } }) => [input["text"], input["expectedVersion"]]),
    ).toEqual([
      ["old one", 1],
      ["old one two", 2],
    ]);
    expect(screen.getByTestId("save-rules")).toBeDisabled();
  });

  it.each([
    ["heard of", [server], /The servers have it within seconds/],
    ["not heard of", [{ ...server, role: "DOWN" as const }], /does not hear from its servers now/],
    ["not there", [], /No license server with a link is known/],
  ])("tells when servers have it that are %s", async (_, servers, told) => {
    const { user, text } = show(saved(setOf(2, "old one")), servers);
    await user.type(text, " one");
    await user.click(screen.getByTestId("save-rules"));
    await waitFor(() => expect(screen.getByTestId("rules-done")).toHaveTextContent(told));
  });
});

describe("an earlier version", () => {
  const open = (unsaved: boolean) => {
    const { client } = stubClient({ data: { ruleSet: setOf(1, "old") } });
    const onEdit = vi.fn();
    render(
      <Provider value={client}>
        <MantineProvider env="test">
          <Earlier place={placeSample([])} version={1} unsaved={unsaved} onEdit={onEdit} />
        </MantineProvider>
      </Provider>,
    );
    return { onEdit, user: userEvent.setup() };
  };

  it("is taken at once where nothing was typed", async () => {
    const { onEdit, user } = open(false);
    await user.click(await screen.findByTestId("edit-version"));
    expect(onEdit).toHaveBeenCalledExactlyOnceWith("old");
  });

  it("takes the place of what was typed only when that is confirmed", async () => {
    const { onEdit, user } = open(true);
    await user.click(await screen.findByTestId("edit-version"));
    await user.click(await screen.findByTestId("keep-typed"));
    expect(onEdit).not.toHaveBeenCalled();
    await user.click(screen.getByTestId("edit-version"));
    await user.click(await screen.findByTestId("replace-typed"));
    expect(onEdit).toHaveBeenCalledExactlyOnceWith("old");
  });
});
