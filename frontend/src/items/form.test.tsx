import { MantineProvider } from "@mantine/core";
import { render, screen, waitFor, within } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import type { ComponentProps } from "react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Failure } from "../api/errors";
import { itemSample } from "../test/samples";
import { ItemForm } from "./form";
import { type Values, valuesOf } from "./options";

const guard = vi.hoisted(() => ({
  blocked: false,
  dirty: (): boolean => false,
  proceed: vi.fn(),
  reset: vi.fn(),
}));

vi.mock("@tanstack/react-router", () => ({
  useBlocker: ({ shouldBlockFn }: { shouldBlockFn: () => boolean }) => {
    guard.dirty = shouldBlockFn;
    return guard.blocked
      ? { status: "blocked", proceed: guard.proceed, reset: guard.reset }
      : { status: "idle" };
  },
}));

beforeEach(() => {
  guard.blocked = false;
  vi.clearAllMocks();
});

const item = itemSample({ units: "500", hasSecretData: true, tmr: true });

function show(props: Partial<ComponentProps<typeof ItemForm>> = {}) {
  const save = vi.fn<(values: Values, product: string) => Promise<Failure | null>>(
    async () => null,
  );
  render(
    <MantineProvider env="test">
      <ItemForm stored={valuesOf(item)} has={item} readOnly={false} save={save} {...props} />
    </MantineProvider>,
  );
  return { save, user: userEvent.setup() };
}

function refusal(code: string, details: Record<string, unknown>): Failure {
  return { code, message: "It is wrong.", fix: "Write it otherwise.", requestId: null, details };
}

describe("ItemForm", () => {
  it("shows what will change, and saves it", async () => {
    const { save, user } = show();
    expect(screen.getByTestId("save-item")).toBeDisabled();
    expect(guard.dirty()).toBe(false);
    await user.clear(screen.getByLabelText("Units"));
    await user.type(screen.getByLabelText("Linger time"), "90s");
    const changes = within(screen.getByTestId("changes")).getAllByRole("listitem");
    expect(changes.map((li) => li.textContent)).toEqual([
      "Units: 500 → none",
      "Linger time: none → 90s",
    ]);
    expect(guard.dirty()).toBe(true);
    await user.click(screen.getByTestId("save-item"));
    expect(save).toHaveBeenCalledWith(expect.objectContaining({ units: "", linger: "90s" }), "");
  });

  it("sends nothing that can't be", async () => {
    const { save, user } = show();
    const quantity = screen.getByLabelText("License quantity");
    await user.clear(quantity);
    await user.type(quantity, "many");
    await user.click(screen.getByTestId("save-item"));
    expect(await screen.findByText("Enter a whole number, 0 to 2147483647.")).toBeVisible();
    expect(quantity).toBeInvalid();
    expect(save).not.toHaveBeenCalled();
  });

  it("says what the platform refuses at its field", async () => {
    const save = vi.fn(async () => refusal("INVALID_INPUT", { field: "usagePeriod" }));
    const { user } = show({ save });
    await user.type(screen.getByLabelText("Usage period"), "90d");
    await user.click(screen.getByTestId("save-item"));
    expect(await screen.findByText("It is wrong. Write it otherwise.")).toBeVisible();
    expect(screen.getByLabelText("Usage period")).toBeInvalid();
    expect(screen.queryByTestId("failure")).toBeNull();
    expect(guard.dirty()).toBe(true);
  });

  it("overwrites nothing that somebody else has saved", async () => {
    const onReload = vi.fn();
    const save = vi.fn(async () => refusal("CONFLICT", { revision: 4 }));
    const { user } = show({ save, onReload });
    await user.type(screen.getByLabelText("Text"), "mine");
    await user.click(screen.getByTestId("save-item"));
    expect(await screen.findByText("Somebody else has changed the item")).toBeVisible();
    expect(screen.getByLabelText("Text")).toHaveValue("mine");
    await user.click(screen.getByTestId("reload-item"));
    expect(onReload).toHaveBeenCalledOnce();
    expect(screen.getByLabelText("Text")).toHaveValue("");
  });

  it("takes data from a file, shows none of it, and can take it away", async () => {
    const { save, user } = show();
    expect(screen.getByTestId("secretData-state")).toHaveTextContent("Stored, and not shown.");
    await user.click(screen.getByRole("button", { name: "Remove the secret data" }));
    expect(screen.getByTestId("secretData-state")).toHaveTextContent("Will be removed.");
    const input = document.querySelector<HTMLInputElement>("input[type=file]");
    if (!input) throw new Error("no file input");
    await user.upload(input, new File(["canary"], "settings.bin"));
    await waitFor(() =>
      expect(screen.getByTestId("protectedData-state")).toHaveTextContent(
        "settings.bin will be stored.",
      ),
    );
    expect(document.body.textContent).not.toContain(btoa("canary"));
    await user.click(screen.getByTestId("save-item"));
    expect(save).toHaveBeenCalledWith(
      expect.objectContaining({
        protectedData: { file: "settings.bin", base64: btoa("canary") },
        secretData: { remove: true },
      }),
      "",
    );
  });

  it("refuses a file that is too large", async () => {
    const { user } = show();
    const input = document.querySelector<HTMLInputElement>("input[type=file]");
    if (!input) throw new Error("no file input");
    await user.upload(input, new File(["x".repeat(4097)], "large.bin"));
    expect(await screen.findByText("Choose a file of 1 to 4096 bytes.")).toBeVisible();
    expect(screen.getByTestId("protectedData-state")).toHaveTextContent("None.");
  });

  it("asks before changes are lost", async () => {
    guard.blocked = true;
    const { user } = show();
    expect(screen.getByText("Leave without saving?")).toBeVisible();
    await user.click(screen.getByTestId("stay"));
    expect(guard.reset).toHaveBeenCalled();
    await user.click(screen.getByTestId("leave"));
    expect(guard.proceed).toHaveBeenCalled();
  });

  it("is for reading only to those who may not change it", () => {
    show({ readOnly: true });
    expect(screen.getByLabelText("Units")).toHaveAttribute("readonly");
    expect(screen.queryByTestId("save-item")).toBeNull();
    expect(screen.queryByRole("button", { name: "Remove the secret data" })).toBeNull();
  });
});
