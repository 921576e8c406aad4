import { MantineProvider } from "@mantine/core";
import { render, screen, waitFor } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import type { ReactNode } from "react";
import { Provider } from "urql";
import { describe, expect, it, vi } from "vitest";
import { type Answer, stubClient } from "../test/client";
import { containerSample, licenseSample, rolloutSample } from "../test/samples";
import { plural } from "../ui/count";
import { quantityMistake, reasonMistake } from "./act";
import { DecideForm } from "./decide";
import {
  blockedText,
  filtered,
  movable,
  nextStep,
  rolloutText,
  rolloutTone,
  targets,
  totals,
} from "./model";
import { RolloutCard, StartForm } from "./rollout";
import { containersSearch } from "./search";
import { TransferForm } from "./transfer";

describe("nextStep", () => {
  const staging = rolloutSample({ state: "STAGING", offline: true });
  const replaced = { replacedBy: { id: "con_2", serial: "130-2" } };
  it.each([
    ["empty", {}, null, /order licenses for it/],
    ["full", { licenses: [licenseSample()] }, null, /holds all that was ordered/],
    ["due, no link", { state: "UPDATE_DUE" }, null, /download it, install it with quorate apply/],
    ["due, linked", { state: "UPDATE_DUE", linked: true }, null, /start a rollout.*over the link/],
    ["due, running", { state: "UPDATE_DUE" }, rolloutSample(), /is bringing the update/],
    ["held", { state: "UPDATE_DUE" }, rolloutSample({ state: "HELD" }), /then retry it/],
    ["handed out", { state: "AWAITING_RECEIPT" }, staging, /then hand in the receipt/],
    ["on its way", { state: "AWAITING_RECEIPT" }, rolloutSample(), /is being installed/],
    ["missing", { state: "AWAITING_RECEIPT" }, null, /start a rollout to send it again/],
    ["suspected", { state: "SUSPECTED" }, null, /until the vendor accepts the state or blocks it/],
    ["blocked", { state: "BLOCKED" }, null, /Re-host it/],
    ["replaced", { state: "BLOCKED", ...replaced }, null, /replaced by 130-2/],
    ["of a group", { tmrGroup: { id: "tmr_1", name: "North" } }, null, /TMR group North/],
  ] as const)("%s", (_, change, rollout, words) => {
    const container = containerSample(change as Parameters<typeof containerSample>[0]);
    expect(nextStep(container, rollout)).toMatch(words);
  });
});

describe("what is known of a container", () => {
  it("is summed up over all products", () => {
    const licenses = [licenseSample(), licenseSample({ quantity: 2, waiting: 3, leaving: 1 })];
    expect(totals({ licenses })).toEqual({ held: 7, waiting: 3, leaving: 1 });
    expect(movable({ quantity: 2, leaving: 5 })).toBe(0);
    expect([plural(1, "license"), plural(2, "license")]).toEqual(["1 license", "2 licenses"]);
  });
  it("says when and why it was blocked", () => {
    expect(blockedText(containerSample())).toBeNull();
    const blockedAt = "2026-11-22T08:00:00Z";
    expect(blockedText(containerSample({ blockedAt, blockReason: "copied" }))).toMatch(/: copied$/);
  });
  it("tells a rollout by files from one over the link", () => {
    const staging = rolloutSample({ state: "STAGING" });
    expect(rolloutText(staging)).toMatch(/license server/);
    expect(rolloutTone(staging)).toBe("running");
    expect(rolloutText({ ...staging, offline: true })).toMatch(/receipt/);
    expect(rolloutTone({ ...staging, offline: true })).toBe("waiting");
    expect(rolloutTone(rolloutSample({ state: "HELD" }))).toBe("warning");
  });
});

describe("the list", () => {
  const all = [
    containerSample(),
    containerSample({ id: "con_2", serial: "130-2", state: "UPDATE_DUE" }),
    containerSample({ id: "con_3", serial: "130-3", customer: { id: "org_3", name: "Port" } }),
    containerSample({ id: "con_4", serial: "130-4", tmrGroup: { id: "tmr_1", name: "North" } }),
    containerSample({ id: "con_5", serial: "130-5", blockedAt: "2026-11-22T08:00:00Z" }),
  ];
  const serials = (of: readonly { serial: string }[]) => of.map((c) => c.serial);
  it("is filtered by state and by words", () => {
    expect(serials(filtered(all, {}))).toHaveLength(5);
    expect(serials(filtered(all, { state: "UPDATE_DUE" }))).toEqual(["130-2"]);
    expect(serials(filtered(all, { q: " PORT " }))).toEqual(["130-3"]);
    expect(serials(filtered(all, { q: "nor" }))).toEqual(["130-4"]);
    expect(serials(filtered(all, { q: "30-1", state: "UPDATE_DUE" }))).toEqual([]);
  });
  it("offers as targets what is the same customer's, in use and in no group", () => {
    const [from] = all;
    if (!from) throw new Error("there is one");
    expect(serials(targets(all, from))).toEqual(["130-2"]);
    const own = containerSample({ id: "con_6", customer: null });
    expect(targets(all, own)).toEqual([]);
  });
  it("takes only filters that exist from the address", () => {
    expect(containersSearch({ q: "a", state: "BLOCKED" })).toEqual({ q: "a", state: "BLOCKED" });
    expect(containersSearch({ q: "", state: "toString", x: 1 })).toEqual({});
  });
});

describe("mistakes", () => {
  it("are told before anything is sent", () => {
    expect(["1", "20", " 7 "].map((n) => quantityMistake(n, 20))).toEqual([null, null, null]);
    for (const odd of ["", "0", "21", "-1", "1.5", "1e1", "x"]) {
      expect(quantityMistake(odd, 20), odd).toBe("Enter a whole number, 1 to 20.");
    }
    expect(reasonMistake("ü".repeat(500))).toBeNull();
    expect(reasonMistake("ü".repeat(501))).toMatch(/1000 bytes/);
  });
});

function show(node: ReactNode, ...answers: Answer[]) {
  const { client, sent } = stubClient(...answers);
  render(
    <MantineProvider env="test">
      <Provider value={client}>{node}</Provider>
    </MantineProvider>,
  );
  return sent;
}

const submit = () => userEvent.click(screen.getByTestId("submit"));

describe("TransferForm", () => {
  const container = containerSample({ licenses: [licenseSample({ quantity: 20, leaving: 5 })] });
  const transfer = { id: "trf_1" };

  it("returns what can leave, with the reason", async () => {
    const done = vi.fn();
    const sent = show(
      <TransferForm kind="return" container={container} onDone={done} onEnd={() => {}} />,
      { data: { returnLicenses: { transfer } } },
    );
    const quantity = screen.getByTestId("quantity");
    await userEvent.clear(quantity);
    await userEvent.type(quantity, "16");
    await submit();
    expect(screen.getByText("Enter a whole number, 1 to 15.")).toBeVisible();
    expect(sent).toEqual([]);
    await userEvent.clear(quantity);
    await userEvent.type(quantity, "15");
    await userEvent.type(screen.getByLabelText("Reason"), "too many");
    await submit();
    await waitFor(() => expect(done).toHaveBeenCalledOnce());
    expect(sent[0]?.variables.input).toEqual({
      container: container.id,
      product: "prd_1",
      quantity: 15,
      reason: "too many",
      idempotencyKey: expect.any(String),
    });
  });

  it("tells when the answer was lost, asks for what is known, and repeats nothing twice", async () => {
    const [done, end] = [vi.fn(), vi.fn()];
    const sent = show(
      <TransferForm kind="return" container={container} onDone={done} onEnd={end} />,
      "lost",
      { data: { returnLicenses: { transfer } } },
    );
    await submit();
    expect(await screen.findByText(/It may have been done all the same/)).toBeVisible();
    expect(done).not.toHaveBeenCalled();
    expect(end).toHaveBeenCalledOnce();
    await submit();
    await waitFor(() => expect(done).toHaveBeenCalledOnce());
    expect(sent[1]?.variables.input).toEqual(sent[0]?.variables.input);
  });

  it("shows what the platform refuses, and what to do", async () => {
    const extensions = { code: "CONFLICT", fix: "name at most that many" };
    show(<TransferForm kind="return" container={container} onDone={() => {}} onEnd={() => {}} />, {
      errors: [{ message: "3 licenses can leave", extensions }],
    });
    await submit();
    expect(await screen.findByTestId("failure")).toHaveTextContent(
      "The licenses were not returned3 licenses can leave. Name at most that many. CONFLICT",
    );
  });

  it("revokes only when the serial number is typed", async () => {
    const sent = show(
      <TransferForm kind="revoke" container={container} onDone={() => {}} onEnd={() => {}} />,
      { data: { revokeLicenses: { transfer } } },
    );
    expect(screen.getByTestId("submit")).toBeDisabled();
    await userEvent.type(screen.getByTestId("confirm-serial"), container.serial);
    await submit();
    await waitFor(() => expect(sent).toHaveLength(1));
  });

  it("has nothing to offer for an empty container", () => {
    show(
      <TransferForm kind="move" container={containerSample()} onDone={() => {}} onEnd={() => {}} />,
    );
    expect(screen.getByRole("status")).toHaveTextContent("Nothing is on the container");
  });
});

describe("DecideForm", () => {
  const suspected = containerSample({
    state: "SUSPECTED",
    manipulationSuspected: true,
    suspectReason: "its counter went back",
  });
  const form = (container: typeof suspected) => (
    <DecideForm container={container} onDone={() => {}} onEnd={() => {}} />
  );

  it("shows the reason, and waits for a choice", async () => {
    const sent = show(form(suspected), { data: { decideContainer: { container: suspected } } });
    expect(screen.getByTestId("suspect-reason")).toHaveTextContent("Its counter went back.");
    await submit();
    expect(screen.getByText("Choose one.")).toBeVisible();
    await userEvent.click(screen.getByLabelText("Accept its state"));
    await userEvent.type(screen.getByTestId("note"), "a backup");
    await submit();
    await waitFor(() => expect(sent).toHaveLength(1));
    expect(sent[0]?.variables.input).toEqual({
      container: suspected.id,
      decision: "ACCEPT",
      note: "a backup",
    });
  });

  it("does not offer to block a backend of a group", () => {
    show(form({ ...suspected, tmrGroup: { id: "tmr_1", name: "North" }, position: 2 }));
    expect(screen.queryByRole("radio")).toBeNull();
    expect(screen.getByTestId("submit")).toHaveTextContent("Accept");
  });

  it("blocks one that is not suspected, after its serial number", () => {
    show(form(containerSample()));
    expect(screen.getByTestId("submit")).toHaveTextContent("Block");
    expect(screen.getByTestId("submit")).toBeDisabled();
  });
});

describe("StartForm", () => {
  const form = (linked: boolean, onFiles = () => {}) => (
    <StartForm
      container={containerSample({ linked })}
      onDone={() => {}}
      onFiles={onFiles}
      onRollout={() => {}}
    />
  );

  it("goes to the files where no license server is heard", async () => {
    const onFiles = vi.fn();
    const sent = show(form(false, onFiles));
    expect(screen.getByLabelText("By files")).toBeChecked();
    await submit();
    expect(onFiles).toHaveBeenCalledOnce();
    expect(sent).toEqual([]);
  });

  it("repeats with the same key after a lost answer, and with another after one", async () => {
    const refused = { errors: [{ message: "no", extensions: { code: "CONFLICT" } }] };
    const sent = show(form(true), "lost", refused, refused);
    for (const times of [1, 2, 3]) {
      await submit();
      await waitFor(() => expect(sent).toHaveLength(times));
      await screen.findByTestId("failure");
      await waitFor(() => expect(screen.getByTestId("submit")).not.toHaveAttribute("data-loading"));
    }
    const keys = sent.map((request) => request.variables.input["idempotencyKey"]);
    expect(keys[1]).toBe(keys[0]);
    expect(keys[2]).not.toBe(keys[1]);
  });
});

describe("RolloutCard", () => {
  const card = (change: Parameters<typeof rolloutSample>[0], mayAct = true) => (
    <RolloutCard
      rollout={rolloutSample(change)}
      mayAct={mayAct}
      onRollout={() => {}}
      onEnd={() => {}}
    />
  );

  it("offers to retry what is held, with the reason and its code", () => {
    show(card({ state: "HELD", blocker: "the server does not answer", errorCode: "UNAVAILABLE" }));
    expect(screen.getByRole("alert")).toHaveTextContent("The server does not answer UNAVAILABLE");
    expect(screen.getByTestId("retry-rollout")).toBeEnabled();
  });

  it("can't be given up once its file is out, nor by a viewer", () => {
    show(card({ state: "STAGING", offline: true }));
    expect(screen.queryByRole("button")).toBeNull();
    show(card({ state: "HELD" }, false));
    expect(screen.queryByRole("button")).toBeNull();
  });
});
