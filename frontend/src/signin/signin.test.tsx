import { screen, waitFor } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { afterEach, describe, expect, it, vi } from "vitest";
import { accessible, show } from "../test/page";
import { stubRest } from "../test/rest";
import { InvitationPage } from "./invitation";
import { passwordMistake, repetitionMistake } from "./new-password";
import { SignInPage } from "./page";

const NOBODY = { status: 401, code: "UNAUTHENTICATED", message: "nobody is signed in" };

afterEach(() => {
  vi.unstubAllGlobals();
  window.location.hash = "";
});

async function signIn() {
  await userEvent.type(screen.getByLabelText("E-mail address"), "o@example.com");
  await userEvent.type(screen.getByLabelText("Password"), "right");
  await userEvent.click(screen.getByRole("button", { name: "Sign in" }));
}

describe("SignInPage", () => {
  it("asks for the code after the password", async () => {
    const asked = stubRest({
      "/auth/session": NOBODY,
      "/auth/login": { secondFactor: true },
      "/auth/code": [{ status: 401, code: "UNAUTHENTICATED", message: "the code is wrong" }],
    });
    const { container } = show(<SignInPage to="/v/x" />);
    await accessible(container);
    await signIn();
    await userEvent.type(await screen.findByLabelText("Code"), "123456");
    await userEvent.click(screen.getByRole("button", { name: "Sign in" }));
    expect(await screen.findByRole("alert")).toHaveTextContent("The code is wrong.");
    expect(screen.getByLabelText("Code")).toHaveValue("");
    expect(asked.at(-1)).toEqual({ path: "/auth/code", input: { code: "123456" } });
    await accessible(container);
  });

  it("says what to do where passwords are refused", async () => {
    const refused = { message: "the organization takes no passwords", fix: "sign in by the other" };
    stubRest({
      "/auth/session": NOBODY,
      "/auth/login": { status: 401, code: "UNAUTHENTICATED", ...refused },
    });
    show(<SignInPage to={undefined} />);
    await signIn();
    expect(await screen.findByRole("alert")).toHaveTextContent(
      "The organization takes no passwords. Sign in by the other.",
    );
  });

  it("begins again when the code came too late", async () => {
    stubRest({
      "/auth/session": NOBODY,
      "/auth/login": { secondFactor: true },
      "/auth/code": { status: 401, code: "UNAUTHENTICATED", message: "it took too long" },
    });
    show(<SignInPage to={undefined} />);
    await signIn();
    await userEvent.type(await screen.findByLabelText("Code"), "123456");
    await userEvent.click(screen.getByRole("button", { name: "Sign in" }));
    expect(await screen.findByLabelText("Password")).toHaveValue("");
    expect(screen.getByRole("alert")).toHaveTextContent("It took too long.");
  });

  it("offers the identity providers of the address's domain", async () => {
    const provider = { id: "idp_1", name: "Company", organization: "Acme" };
    stubRest({
      "/auth/session": NOBODY,
      "/auth/providers": [{ providers: [] }, { providers: [provider] }],
    });
    show(<SignInPage to="/v/x?a=b" />);
    const button = screen.getByRole("button", { name: "Use your organization’s account" });
    await userEvent.click(button);
    expect(await screen.findByText("Enter your e-mail address.")).toBeVisible();
    await userEvent.type(screen.getByLabelText("E-mail address"), "o@example.com");
    await userEvent.click(button);
    expect(await screen.findByRole("status")).toHaveTextContent(/No organization has an/);
    await userEvent.click(button);
    expect(await screen.findByTestId("provider")).toHaveAttribute(
      "href",
      "/auth/oidc/start?provider=idp_1&to=%2Fv%2Fx%3Fa%3Db",
    );
    await userEvent.type(screen.getByLabelText("E-mail address"), ".org");
    expect(screen.queryByTestId("provider")).toBeNull();
  });

  it("tells why an identity provider did not sign in, and nothing that the address says", () => {
    stubRest({ "/auth/session": NOBODY });
    show(<SignInPage to={undefined} failed="FORBIDDEN" />);
    expect(screen.getByRole("alert")).toHaveTextContent(/You are no member/);
    show(<SignInPage to={undefined} failed="Call 555-1234" />);
    expect(screen.queryByText(/555/)).toBeNull();
  });
});

describe("InvitationPage", () => {
  const invitation = {
    email: "nina@example.com",
    name: "Nina",
    role: "OPERATOR",
    organization: "Acme",
    invitedBy: "Olga",
    expiresAt: "2026-12-01T00:00:00Z",
    known: false,
  };

  it("makes an account with a password of twelve characters", async () => {
    window.location.hash = "#qri_token";
    const refused = { status: 409, code: "CONFLICT", message: "you are a member already" };
    const asked = stubRest({
      "/auth/invitation": { invitation, signedIn: "" },
      "/auth/invitation/accept": refused,
    });
    const { container } = show(<InvitationPage />);
    expect(await screen.findByText("Acme")).toBeVisible();
    await userEvent.type(screen.getByLabelText("Password"), "elevenbytes");
    await userEvent.type(screen.getByLabelText("Password again"), "elevenbytes");
    await userEvent.click(screen.getByRole("button", { name: "Join" }));
    expect(screen.getByText("Use at least 12 characters.")).toBeVisible();
    await accessible(container);
    await userEvent.type(screen.getByLabelText("Password"), "!");
    await userEvent.type(screen.getByLabelText("Password again"), "!");
    await userEvent.click(screen.getByRole("button", { name: "Join" }));
    expect(await screen.findByTestId("failure")).toHaveTextContent("You are a member already.");
    expect(asked.at(-1)?.input).toEqual({
      token: "qri_token",
      name: "Nina",
      password: "elevenbytes!",
    });
  });

  it.each([
    ["", "Sign in"],
    ["else@example.com", "Sign out"],
    ["nina@example.com", "Join as nina@example.com"],
  ])("has who has an account sign in to it (now %s)", async (signedIn, act) => {
    window.location.hash = "#qri_token";
    stubRest({ "/auth/invitation": { invitation: { ...invitation, known: true }, signedIn } });
    const { container } = show(<InvitationPage />);
    expect(await screen.findByText(act)).toBeVisible();
    expect(screen.queryByLabelText("Password")).toBeNull();
    await accessible(container);
  });

  it("says what to do about a link that doesn't work", async () => {
    stubRest({
      "/auth/invitation": {
        status: 404,
        code: "NOT_FOUND",
        message: "it has ended",
        fix: "ask again",
      },
    });
    show(<InvitationPage />);
    await waitFor(() => expect(screen.getByTestId("failure")).toHaveTextContent("Ask again."));
  });

  it("counts a password's bytes", () => {
    expect(passwordMistake("ééééééé")).toBe("");
    expect(passwordMistake("x".repeat(257))).toMatch(/at most/);
    expect(repetitionMistake("a long password", "another one")).toMatch(/twice/);
  });
});
