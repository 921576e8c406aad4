import { screen, waitFor, within } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { afterEach, describe, expect, it, vi } from "vitest";
import { accessible, show } from "../test/page";
import { stubRest } from "../test/rest";
import { type Account, AccountPage, Password } from "./page";
import { SecondFactor } from "./second";
import { browserOf, Sessions } from "./sessions";

afterEach(() => vi.unstubAllGlobals());

const account: Account = {
  name: "Olga",
  email: "o@example.com",
  secondFactor: false,
  recoveryCodes: 0,
};
const session = (id: string, current: boolean) => ({
  id,
  agent: "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0",
  address: "192.0.2.1",
  began: "2026-11-20T08:00:00Z",
  seen: "2026-11-22T08:00:00Z",
  current,
});

describe("AccountPage", () => {
  it("shows all that one sees to for oneself", async () => {
    stubRest({
      "/auth/account": { account },
      "/auth/sessions": { sessions: [session("a", true)] },
    });
    const { container } = show(<AccountPage />);
    for (const name of ["Your name", "Password", "Second factor", "Sessions"]) {
      expect(await screen.findByRole("heading", { name })).toBeVisible();
    }
    expect(await screen.findByText("This one")).toBeVisible();
    await accessible(container);
  });

  it("leaves to the identity provider what is the provider's", async () => {
    stubRest({
      "/auth/account": { account: { ...account, provider: "Company" } },
      "/auth/sessions": { sessions: [] },
    });
    show(<AccountPage />);
    expect(await screen.findByText(/Company has signed you in/)).toBeVisible();
    expect(screen.queryByLabelText("Present password")).toBeNull();
  });

  it("tells of a failure, and tries again", async () => {
    const gone = { status: 500, code: "INTERNAL", message: "something went wrong" };
    stubRest({ "/auth/account": [gone, { account }], "/auth/sessions": { sessions: [] } });
    show(<AccountPage />);
    await userEvent.click(await screen.findByRole("button", { name: "Try again" }));
    expect(await screen.findByTestId("account-page")).toBeVisible();
  });
});

describe("Password", () => {
  it("is sent with the present one, once it is long enough and typed twice", async () => {
    const asked = stubRest({});
    const changed = vi.fn();
    show(<Password onChanged={changed} />);
    await userEvent.type(screen.getByLabelText("Present password"), "old");
    await userEvent.type(screen.getByLabelText("New password"), "a new password");
    const button = screen.getByRole("button", { name: "Change the password" });
    await userEvent.click(button);
    expect(asked).toEqual([]);
    expect(screen.getByLabelText("New password again")).toBeInvalid();
    expect(screen.getByLabelText("New password")).toBeValid();
    await waitFor(() => expect(screen.getByLabelText("New password again")).toHaveFocus());
    await userEvent.type(screen.getByLabelText("New password again"), "a new password");
    await userEvent.click(button);
    await waitFor(() => expect(changed).toHaveBeenCalledOnce());
    expect(asked).toEqual([
      { path: "/auth/password", input: { present: "old", password: "a new password" } },
    ]);
    expect(screen.getByLabelText("New password")).toHaveValue("");
  });
});

describe("SecondFactor", () => {
  it("is set up by a picture or a text, a code, and shows the recovery codes once", async () => {
    const asked = stubRest({
      "/auth/second/begin": {
        secret: "ABCDEFGH",
        uri: "otpauth://x",
        qr: "data:image/png;base64,AA==",
      },
      "/auth/second/confirm": { recoveryCodes: ["aaaa-bbbb", "cccc-dddd"] },
    });
    const changed = vi.fn();
    const { container } = show(<SecondFactor account={account} onChanged={changed} />);
    await userEvent.click(screen.getByRole("button", { name: "Set up…" }));
    await userEvent.click(screen.getByRole("button", { name: "Cancel" }));
    expect(screen.getByRole("button", { name: "Set up…" })).toHaveFocus();
    await userEvent.click(screen.getByRole("button", { name: "Set up…" }));
    expect(screen.getByLabelText("Your password")).toHaveFocus();
    await userEvent.type(screen.getByLabelText("Your password"), "old");
    await userEvent.click(screen.getByRole("button", { name: "Set up" }));
    expect(await screen.findByAltText("The secret as a QR code")).toBeVisible();
    expect(screen.getByTestId("totp-secret")).toHaveTextContent("ABCDEFGH");
    await accessible(container);
    await userEvent.type(screen.getByLabelText("The code that it shows"), "123456");
    await userEvent.click(screen.getByRole("button", { name: "Switch on" }));
    const codes = await screen.findByTestId("recovery-codes");
    expect(within(codes).getAllByRole("listitem")).toHaveLength(2);
    expect(asked.map((a) => a.input)).toEqual([{ password: "old" }, { code: "123456" }]);
    await userEvent.click(screen.getByRole("button", { name: "I have kept them" }));
    expect(changed).toHaveBeenCalledOnce();
  });

  it("is switched off by password and code", async () => {
    const asked = stubRest({
      "/auth/second/end": { status: 403, code: "FORBIDDEN", message: "the code is wrong" },
    });
    const on = { ...account, secondFactor: true, recoveryCodes: 7 };
    show(<SecondFactor account={on} onChanged={() => {}} />);
    expect(screen.getByText("7 recovery codes are left")).toBeVisible();
    await userEvent.click(screen.getByRole("button", { name: "Switch off…" }));
    await userEvent.type(screen.getByLabelText("Your password"), "old");
    await userEvent.type(screen.getByLabelText("Code"), "1");
    await userEvent.click(screen.getByRole("button", { name: "Switch off" }));
    expect(await screen.findByTestId("failure")).toHaveTextContent("The code is wrong.");
    expect(asked[0]?.input).toEqual({ password: "old", code: "1" });
  });
});

describe("Sessions", () => {
  it("ends one, or all others", async () => {
    const asked = stubRest({
      "/auth/sessions": [
        { sessions: [session("a", true), session("b", false)] },
        { sessions: [session("a", true), session("c", false)] },
        { sessions: [session("a", true)] },
      ],
    });
    show(<Sessions />);
    await userEvent.click(await screen.findByRole("button", { name: /^End Firefox on Linux/ }));
    await waitFor(() => expect(asked).toHaveLength(3));
    expect(asked[1]?.input).toEqual({ id: "b" });
    await userEvent.click(screen.getByRole("button", { name: "End all others" }));
    await waitFor(() => expect(screen.getAllByTestId("session")).toHaveLength(1));
    expect(asked[3]?.input).toEqual({ others: true });
  });

  it("names browsers", () => {
    expect(browserOf("")).toBe("A browser");
    expect(browserOf("Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36 Edg/140.0")).toBe(
      "Edge on Windows",
    );
  });
});
