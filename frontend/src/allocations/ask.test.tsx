import { MantineProvider } from "@mantine/core";
import { render, screen } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { Provider } from "urql";
import { describe, expect, it } from "vitest";
import { type Answer, stubClient } from "../test/client";
import { allocationSample } from "../test/samples";
import { AskDialog, noticeState, textMistake } from "./ask";
import type { Notice } from "./store";

const notice = (change: Partial<Notice> = {}): Notice => ({
  askedAt: "2026-11-22T08:00:00Z",
  by: "Olivia Park",
  text: "I need it until noon",
  takenAt: null,
  code: "",
  message: "",
  ...change,
});

function show(answer: Answer, ended = false) {
  const { client, sent } = stubClient(answer);
  const dialog = (live: Notice | null) => (
    <MantineProvider env="test">
      <Provider value={client}>
        <AskDialog
          allocation={allocationSample("1", { notice: live })}
          ended={ended}
          onClose={() => {}}
        />
      </Provider>
    </MantineProvider>
  );
  const { rerender } = render(dialog(null));
  return { sent, user: userEvent.setup(), hear: (live: Notice) => rerender(dialog(live)) };
}

describe("a holder", () => {
  it("is asked with the text, and what became of the notice is told", async () => {
    const { sent, user, hear } = show({
      data: { askAllocation: { allocation: { id: "1", notice: notice() } } },
    });
    await user.type(screen.getByTestId("ask-text"), "I need it until noon");
    await user.click(screen.getByTestId("submit"));
    expect(await screen.findByTestId("notice")).toHaveTextContent(/On its way/);
    expect(sent[0]?.variables.input).toEqual({ allocation: "1", text: "I need it until noon" });
    hear(notice({ takenAt: "2026-11-22T08:00:02Z" }));
    expect(screen.getByTestId("notice")).toHaveTextContent(/The license server has it/);
  });

  it("is not asked where that fails, and why is told", async () => {
    const extensions = { code: "THROTTLED", fix: "wait 10 seconds" };
    const { user } = show({ errors: [{ message: "asked a moment ago", extensions }] });
    await user.click(screen.getByTestId("submit"));
    expect(await screen.findByText("The holder was not asked")).toBeVisible();
    expect(screen.queryByTestId("notice")).toBeNull();
  });

  it("who has released it is asked no more", () => {
    show({}, true);
    expect(screen.getByTestId("submit")).toBeDisabled();
  });
});

it("a text has one line of at most 500 bytes", () => {
  expect(textMistake("")).toBeNull();
  expect(textMistake("ü".repeat(250))).toBeNull();
  expect(textMistake("ü".repeat(251))).toMatch(/500 bytes/);
});

it("a notice that was not taken tells why", () => {
  const refused = notice({ code: "UNAVAILABLE", message: "the license server was not there" });
  expect(noticeState(refused)).toBe("Not taken: the license server was not there");
  expect(noticeState(notice({ code: "HANDLE_UNKNOWN" }))).toBe("Not taken: HANDLE_UNKNOWN");
});
