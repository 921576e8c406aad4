import { screen, waitFor, within } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import { accessible, show } from "../test/page";
import { ProviderForm } from "./form";
import { domainsOf, draftOf, mistakesOf, NEW, type Provider } from "./model";
import { ProviderList } from "./page";

const provider: Provider = {
  id: "idp_1",
  name: "Company",
  issuer: "https://id.example.com",
  clientId: "quorate",
  domains: ["example.com"],
  joinRole: "VIEWER",
  enforced: false,
  revision: 4,
};
const all = (...providers: Provider[]) => ({
  data: {
    identityProviders: {
      edges: providers.map((p) => ({ node: { __typename: "IdentityProvider", ...p } })),
    },
  },
});
const done = (name: string) => ({ data: { [name]: { identityProvider: { ...provider } } } });
const whole = {
  identityProvider: "idp_1",
  revision: 4,
  name: "Company",
  issuer: "https://id.example.com",
  clientId: "quorate",
  domains: ["example.com"],
  joinRole: "VIEWER",
};

describe("ProviderList", () => {
  it("says who is locked out before it enforces one, and changes nothing else", async () => {
    const { sent, container } = show(
      <ProviderList viewerRole="OWNER" environment="LIVE" />,
      all(provider),
      done("updateIdentityProvider"),
      all({ ...provider, enforced: true }),
    );
    await userEvent.click(await screen.findByRole("button", { name: "Enforce Company" }));
    const dialog = await screen.findByRole("dialog");
    expect(dialog).toHaveTextContent(/All members but owners can’t use passwords/);
    expect(dialog).toHaveTextContent(/while it can’t be reached, all of them are/);
    expect(within(dialog).getByRole("button", { name: "Keep" })).toHaveFocus();
    expect(sent).toHaveLength(1);
    await userEvent.click(within(dialog).getByTestId("confirm"));
    expect(await screen.findByText("Enforced")).toBeVisible();
    // No secret: the present one stays.
    expect(sent[1]?.variables.input).toEqual({ ...whole, enforced: true });
    await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
    await accessible(container);
  });

  it("lets passwords count again", async () => {
    const { sent } = show(
      <ProviderList viewerRole="OWNER" environment="LIVE" />,
      all({ ...provider, enforced: true }),
      done("updateIdentityProvider"),
      all(provider),
    );
    await userEvent.click(await screen.findByRole("button", { name: "Stop enforcing Company" }));
    await userEvent.click(await screen.findByTestId("confirm"));
    expect(await screen.findByText("Passwords count too")).toBeVisible();
    expect(sent[1]?.variables.input).toEqual({ ...whole, enforced: false });
  });

  it("says who is signed out before it removes one, and tells why not", async () => {
    const refused = { errors: [{ message: "no", extensions: { code: "NOT_FOUND" } }] };
    const { sent } = show(
      <ProviderList viewerRole="OWNER" environment="LIVE" />,
      all(provider),
      refused,
    );
    await userEvent.click(await screen.findByRole("button", { name: "Remove Company" }));
    const dialog = await screen.findByRole("dialog");
    expect(dialog).toHaveTextContent(/you too, if it signed you in/);
    expect(dialog).toHaveTextContent(/no password, and is locked out/);
    await userEvent.click(within(dialog).getByTestId("confirm"));
    expect(await within(dialog).findByTestId("failure")).toHaveTextContent("was not removed");
    expect(sent[1]?.variables.input).toEqual({ identityProvider: "idp_1" });
  });

  it("is tried by a link of its own", async () => {
    show(<ProviderList viewerRole="OWNER" environment="LIVE" />, all(provider));
    await userEvent.click(await screen.findByRole("button", { name: "Try Company" }));
    expect(await screen.findByTestId("sign-in-link")).toHaveTextContent(
      `${window.location.origin}/auth/oidc/start?provider=idp_1`,
    );
  });

  it("is an owner's to change, in the live environment", async () => {
    show(<ProviderList viewerRole="ADMINISTRATOR" environment="LIVE" />, all(provider));
    expect(await screen.findByTestId("identity-provider")).toHaveTextContent(
      "Offered to example.com; who is no member yet joins as viewer",
    );
    expect(screen.getByText(/needs the role owner/)).toBeVisible();
    expect(screen.queryByRole("button")).toBeNull();
    show(<ProviderList viewerRole="OWNER" environment="TEST" />, all());
    expect(await screen.findByText(/set it up in the live environment/)).toBeVisible();
    expect(screen.queryByRole("button")).toBeNull();
  });

  it("says when there is none, and when that is not known", async () => {
    show(<ProviderList viewerRole="OWNER" environment="LIVE" />, all());
    expect(await screen.findByText("No identity provider yet")).toBeVisible();
    show(<ProviderList viewerRole="OWNER" environment="LIVE" />, "lost");
    expect(await screen.findByTestId("failure")).toHaveTextContent("could not be loaded");
  });
});

describe("ProviderForm", () => {
  it("adds one that is not enforced, and shows at the field what the platform refuses", async () => {
    const refused = {
      errors: [
        {
          message: "it does not answer",
          extensions: { code: "UNAVAILABLE", details: { field: "issuer" } },
        },
      ],
    };
    const { sent, container } = show(
      <ProviderForm provider={null} onDone={() => {}} />,
      refused,
      done("createIdentityProvider"),
    );
    await userEvent.click(screen.getByTestId("submit"));
    expect(sent).toEqual([]);
    await waitFor(() => expect(screen.getByLabelText("Name")).toHaveFocus());
    await userEvent.type(screen.getByLabelText("Name"), "Company");
    await userEvent.type(screen.getByLabelText("Issuer"), "https://id.example.com");
    await userEvent.type(screen.getByLabelText("Client id"), "quorate");
    await userEvent.type(screen.getByLabelText("Client secret"), "hush");
    await userEvent.selectOptions(
      screen.getByLabelText(/no members yet/),
      "Join by themselves as viewer",
    );
    expect(screen.queryByRole("option", { name: /owner/ })).toBeNull();
    await userEvent.click(screen.getByTestId("submit"));
    expect(screen.getByText(/else everybody could/)).toBeVisible();
    await userEvent.type(screen.getByLabelText("E-mail domains"), "example.com @Example.org");
    expect(screen.getByTestId("redirect-address")).toHaveTextContent("/auth/oidc/callback");
    await accessible(container);
    await userEvent.click(screen.getByTestId("submit"));
    await waitFor(() => expect(screen.getByLabelText("Issuer")).toBeInvalid());
    expect(sent[0]?.variables.input).toEqual({
      name: "Company",
      issuer: "https://id.example.com",
      clientId: "quorate",
      clientSecret: "hush",
      domains: ["example.com", "example.org"],
      joinRole: "VIEWER",
      enforced: false,
      idempotencyKey: expect.stringMatching(/^[0-9a-f]{32}$/),
    });
  });

  it("keeps what it does not show, and warns of another issuer", async () => {
    const { sent } = show(
      <ProviderForm provider={{ ...provider, enforced: true }} onDone={() => {}} />,
      done("updateIdentityProvider"),
    );
    expect(screen.getByLabelText("Client secret")).toHaveValue("");
    expect(screen.queryByText(/Another issuer/)).toBeNull();
    await userEvent.type(screen.getByLabelText("Issuer"), "/next");
    expect(screen.getByText(/whom the present one signed in is signed out/)).toBeVisible();
    await userEvent.selectOptions(screen.getByLabelText(/no members yet/), "Must be invited");
    await userEvent.click(screen.getByTestId("submit"));
    await waitFor(() => expect(sent).toHaveLength(1));
    expect(sent[0]?.variables.input).toEqual({
      ...whole,
      issuer: "https://id.example.com/next",
      joinRole: null,
      enforced: true,
    });
  });

  it("reads domains as people write them", () => {
    expect(domainsOf(" a.example,b.example\n@C.example; ")).toEqual([
      "a.example",
      "b.example",
      "c.example",
    ]);
    expect(mistakesOf(draftOf(provider))).toEqual({});
    expect(Object.keys(mistakesOf({ ...NEW, domains: "x@y" }))).toEqual([
      "name",
      "issuer",
      "clientId",
      "domains",
    ]);
  });
});
