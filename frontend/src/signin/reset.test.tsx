import { screen } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { afterEach, describe, expect, it, vi } from "vitest";
import { accessible, show } from "../test/page";
import { stubRest } from "../test/rest";
import { ResetPage } from "./reset";

afterEach(() => {
  vi.unstubAllGlobals();
  window.location.hash = "";
});

const reset = {
  email: "anna@example.com",
  expiresAt: "2026-12-01T00:00:00Z",
  endsSecondFactor: false,
};

async function type(password: string, again: string) {
  await userEvent.clear(screen.getByLabelText("New password"));
  await userEvent.clear(screen.getByLabelText("New password again"));
  await userEvent.type(screen.getByLabelText("New password"), password);
  await userEvent.type(screen.getByLabelText("New password again"), again);
  await userEvent.click(screen.getByRole("button", { name: "Set the password" }));
}

describe("ResetPage", () => {
  it("sets the password, then has one sign in", async () => {
    window.location.hash = "#qrp_token";
    const asked = stubRest({
      "/auth/reset": { reset },
      "/auth/reset/end": [{ status: 429, code: "THROTTLED", message: "too many sign-ins" }, {}],
    });
    const { container } = show(<ResetPage />);
    expect(await screen.findByText("anna@example.com")).toBeVisible();
    expect(screen.queryByText(/second factor/)).toBeNull();
    await type("elevenbytes", "elevenbytes");
    expect(screen.getByText("Use at least 12 characters.")).toBeVisible();
    await type("a long password", "another one");
    expect(screen.getByText("Type the same password twice.")).toBeVisible();
    await accessible(container);
    expect(asked).toHaveLength(1);
    await type("a long password", "a long password");
    expect(await screen.findByTestId("failure")).toHaveTextContent("Too many sign-ins.");
    await userEvent.click(screen.getByRole("button", { name: "Set the password" }));
    expect(await screen.findByRole("status")).toHaveTextContent("The password is set.");
    expect(asked.at(-1)).toEqual({
      path: "/auth/reset/end",
      input: { token: "qrp_token", password: "a long password" },
    });
    expect(screen.getByRole("link", { name: "Sign in" })).toHaveAttribute("href", "/login");
    expect(screen.queryByLabelText("New password")).toBeNull();
    await accessible(container);
  });

  it("says when the second factor goes, too", async () => {
    stubRest({ "/auth/reset": { reset: { ...reset, endsSecondFactor: true } } });
    show(<ResetPage />);
    expect(await screen.findByText(/the second factor is removed/)).toBeVisible();
  });

  it("says what to do about a link that doesn't work", async () => {
    stubRest({
      "/auth/reset": { status: 404, code: "NOT_FOUND", message: "it has ended", fix: "ask again" },
    });
    const { container } = show(<ResetPage />);
    expect(await screen.findByTestId("failure")).toHaveTextContent("Ask again.");
    expect(screen.queryByLabelText("New password")).toBeNull();
    await accessible(container);
  });
});
