import { MantineProvider } from "@mantine/core";
import { fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { useState } from "react";
import { Provider } from "urql";
import { afterEach, describe, expect, it, vi } from "vitest";
import { type Answer, stubClient } from "../test/client";
import { rolloutSample } from "../test/samples";
import { MOST_BYTES, type OfflineFile, readFile, readText } from "./file";
import { FileInput } from "./file-input";
import { OfflinePanel } from "./panel";
import { foreign, progressOf, waitsForReceipt } from "./progress";

const REQUEST = `-----BEGIN QUORATE FINGERPRINT-----
Version: 1
Kind: request
Group: 131-4837572
Container: 130-1; firm 6000010; number 2
Container: 130-2; firm 6000010; number 2
Container: 130-2; firm 6000011; number 1

AQIAgwAAAAAASdDEAAMAAAi9DnF1b3JhdGUtdXBkYXRlAQAACGwA
=q3Jm0X
-----END QUORATE FINGERPRINT-----
`;
const ALONE = REQUEST.replace(/Group:.*\n/, "").replaceAll("130-2", "130-1");
const RECEIPT = ALONE.replaceAll("FINGERPRINT", "RECEIPT");

const fileOf = (text: string): OfflineFile => {
  const read = readText(text, "request");
  if ("error" in read) throw new Error(read.error);
  return read.file;
};

describe("readText", () => {
  it("tells the group and each container once", () => {
    expect(fileOf(REQUEST)).toEqual({
      text: REQUEST,
      kind: "request",
      group: "131-4837572",
      serials: ["130-1", "130-2"],
    });
    expect(fileOf(`\r\n ${ALONE.replaceAll("\n", "\r\n")}`)).toMatchObject({
      group: null,
      serials: ["130-1"],
    });
  });
  it.each([
    ["", /empty/],
    ["hello", /does not begin/],
    ["-----BEGIN CERTIFICATE-----", /does not begin/],
    [RECEIPT, /a receipt file \(\.lrcp\): give a request file \(\.lreq\)/],
    [REQUEST.slice(0, 200), /end is missing/],
    ["x".repeat(MOST_BYTES + 1), /larger than 5 MiB/],
  ])("refuses what is no request: %.20s", (text, why) => {
    const read = readText(text, "request");
    expect("error" in read && read.error).toMatch(why);
  });
  it("reads no header out of the data", () => {
    const odd = ALONE.replace("\n\n", "\n\nContainer: 130-666; firm 1; number 1\n");
    expect(fileOf(odd).serials).toEqual(["130-1"]);
  });
});

it("readFile does not read what is too large", async () => {
  const file = new File([""], "big.lreq");
  Object.defineProperty(file, "size", { value: MOST_BYTES + 1 });
  const text = vi.spyOn(file, "text");
  expect(await readFile(file, "request")).toEqual({
    error: "big.lreq is larger than 5 MiB: no such file is.",
  });
  expect(text).not.toHaveBeenCalled();
});

describe("progress", () => {
  it("goes on when the update is made, and back when a newer request is given", () => {
    expect(progressOf(false, true)).toEqual(["now", "later", "later"]);
    expect(progressOf(true, false)).toEqual(["done", "now", "now"]);
    expect(progressOf(true, true)).toEqual(["now", "done", "now"]);
  });
  it("waits only for receipts of files", () => {
    expect(waitsForReceipt(rolloutSample({ state: "STAGING", offline: true }))).toBe(true);
    expect(waitsForReceipt(rolloutSample({ state: "STAGING" }))).toBe(false);
    expect(waitsForReceipt(rolloutSample({ state: "DONE", offline: true }))).toBe(false);
  });
  it("knows files of another place", () => {
    const group = { tmrGroup: "tmr_1", serial: "131-4837572" };
    const single = { container: "con_1", serial: "130-1" };
    expect(foreign(fileOf(REQUEST), group)).toBeNull();
    expect(foreign(fileOf(ALONE), single)).toBeNull();
    expect(foreign(fileOf(ALONE), group)).toMatch(/one container, not of a TMR group/);
    expect(foreign(fileOf(REQUEST), single)).toMatch(/group 131-4837572, not of one container/);
    expect(foreign(fileOf(ALONE), { ...single, serial: "130-9" })).toMatch(/130-1, not of 130-9/);
    expect(foreign(fileOf(REQUEST), { ...group, serial: "131-9" })).toMatch(/not of 131-9/);
  });
});

function Input() {
  const [value, setValue] = useState<OfflineFile | null>(null);
  return <FileInput kind="request" value={value} onChange={setValue} />;
}

describe("FileInput", () => {
  const showInput = () =>
    render(
      <MantineProvider env="test">
        <Input />
      </MantineProvider>,
    );

  it("shows what a chosen file is of, and lets another one be chosen", async () => {
    showInput();
    const choose = (text: string) =>
      userEvent.upload(screen.getByTestId("request-picker"), new File([text], "a.lreq"));
    await choose(RECEIPT);
    expect(await screen.findByRole("alert")).toHaveTextContent("give a request file");
    await choose(REQUEST);
    expect(await screen.findByTestId("request-file")).toHaveTextContent(
      "of the group 131-4837572: containers 130-1, 130-2",
    );
    await userEvent.click(screen.getByRole("button", { name: "Choose another" }));
    expect(screen.getByTestId("request-zone")).toBeVisible();
    expect(screen.queryByRole("alert")).toBeNull();
  });

  it("takes a file that is dropped, and only one", async () => {
    showInput();
    const drop = (...files: File[]) =>
      fireEvent.drop(screen.getByTestId("request-zone"), { dataTransfer: { files } });
    const file = new File([REQUEST], "a.lreq");
    drop(file, file);
    expect(await screen.findByRole("alert")).toHaveTextContent("give one");
    drop(file);
    expect(await screen.findByTestId("request-file")).toBeVisible();
  });

  it("takes pasted text with the keyboard alone", async () => {
    showInput();
    screen.getByRole("button", { name: "Paste text" }).focus();
    await userEvent.keyboard("{Enter}");
    expect(screen.getByLabelText("Text of the request file")).toHaveFocus();
    await userEvent.paste(REQUEST);
    expect(await screen.findByTestId("request-file")).toBeVisible();
  });
});

describe("OfflinePanel", () => {
  afterEach(() => vi.restoreAllMocks());

  const panel = (
    rollout: ReturnType<typeof rolloutSample> | null,
    answer: Answer = {},
    mayAct = true,
  ) => {
    const { client, sent } = stubClient(answer, answer);
    const onRollout = vi.fn();
    render(
      <MantineProvider env="test">
        <Provider value={client}>
          <OfflinePanel
            place={{ container: "con_1", serial: "130-1" }}
            rollout={rollout}
            mayAct={mayAct}
            opened
            onToggle={() => {}}
            onRollout={onRollout}
            onEnd={() => {}}
          />
        </Provider>
      </MantineProvider>,
    );
    return { sent, onRollout };
  };
  const waiting = () => rolloutSample({ state: "STAGING", offline: true, number: 3 });
  const upload = async (kind: "request" | "receipt", text: string) => {
    const zone = within(screen.getByTestId("offline"));
    const [picker] = zone.getAllByTestId(`${kind}-picker`);
    const name = kind === "request" ? "one.lreq" : "one.lrcp";
    if (picker) await userEvent.upload(picker, new File([text], name));
    await zone.findByTestId(`${kind}-file`);
  };
  const catchDownload = () => {
    const saved: string[] = [];
    URL.createObjectURL = () => "blob:x";
    URL.revokeObjectURL = () => {};
    vi.spyOn(HTMLAnchorElement.prototype, "click").mockImplementation(function (
      this: HTMLAnchorElement,
    ) {
      saved.push(this.download);
    });
    return saved;
  };

  it("starts with the request, and offers nothing that comes later", async () => {
    const begun = waiting();
    const { onRollout } = panel(null, {
      data: { startOfflineRollout: { rollout: begun, update: "text" } },
    });
    expect(screen.getByTestId("offline-step-1")).toHaveAttribute("aria-current", "step");
    expect(screen.getByTestId("offline-start")).toBeDisabled();
    expect(screen.getByTestId("offline-download")).toBeDisabled();
    expect(screen.getByTestId("offline-finish")).toBeDisabled();
    await upload("request", ALONE);
    await userEvent.click(screen.getByTestId("offline-start"));
    await waitFor(() => expect(onRollout).toHaveBeenCalledWith(begun));
    expect(screen.getByTestId("offline-note")).toHaveTextContent("The update file is ready");
  });

  it("says what the platform refuses at its step, and keeps the file", async () => {
    const extensions = { code: "REQUEST_STALE", fix: "write a new one" };
    panel(null, { errors: [{ message: "the request is stale", extensions }] });
    await upload("request", ALONE);
    await userEvent.click(screen.getByTestId("offline-start"));
    const step = within(screen.getByTestId("offline-step-1"));
    expect(await step.findByRole("alert")).toHaveTextContent(
      "The request is stale. Write a new one. REQUEST_STALE",
    );
    expect(step.getByTestId("request-file")).toBeVisible();
  });

  it("refuses another container's file before it is sent", async () => {
    const { sent } = panel(null);
    await upload("request", ALONE.replaceAll("130-1", "130-9"));
    expect(screen.getByRole("alert")).toHaveTextContent("container 130-9, not of 130-1");
    expect(screen.getByTestId("offline-start")).toBeDisabled();
    expect(sent).toEqual([]);
  });

  it("fetches the update again while it waits, and takes the receipt", async () => {
    const saved = catchDownload();
    const done = rolloutSample({ state: "DONE", offline: true });
    const { sent, onRollout } = panel(waiting(), {
      data: { offlineUpdate: "text", finishOfflineRollout: { rollout: done } },
    });
    expect(screen.getByText("Rollout 3 waits for the receipt.")).toBeVisible();
    expect(screen.queryByTestId("offline-start")).toBeNull();
    await userEvent.click(screen.getByTestId("offline-download"));
    await waitFor(() => expect(saved).toEqual(["130-1.lupd"]));
    expect(sent).toHaveLength(1);
    await upload("receipt", RECEIPT);
    await userEvent.click(screen.getByTestId("offline-finish"));
    await waitFor(() => expect(onRollout).toHaveBeenCalledWith(done));
    expect(screen.getByTestId("offline-note")).toHaveTextContent("the update is installed");
  });

  it("rests while a rollout runs over the link", () => {
    panel(rolloutSample({ number: 4 }));
    expect(screen.getByText(/Rollout 4 runs over the link/)).toBeVisible();
    for (const button of screen.getAllByRole("button", { name: "Choose file" }).slice(0, 2)) {
      expect(button).toBeDisabled();
    }
  });

  it("offers nothing to those who may not", () => {
    panel(waiting(), {}, false);
    expect(screen.getAllByRole("button").map((b) => b.textContent)).toEqual(["Hide"]);
    expect(screen.getByText(/needs the role operator/)).toBeVisible();
  });
});
