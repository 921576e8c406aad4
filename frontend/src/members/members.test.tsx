import { screen, waitFor, within } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import { accessible, show } from "../test/page";
import { InviteForm } from "./invitations";
import { invitationLink, invitationState } from "./model";
import { MembersView } from "./page";

const page = { __typename: "PageInfo", hasNextPage: false, endCursor: null };
const member = (id: string, role: string, change: object = {}) => ({
  node: {
    __typename: "Member",
    id,
    name: `Name ${id}`,
    email: `${id}@example.com`,
    role,
    effectiveRole: role,
    revision: 3,
    groups: [],
    ...change,
  },
});
const invitation = {
  __typename: "Invitation",
  id: "inv_1",
  email: "nina@example.com",
  name: "",
  role: "VIEWER" as const,
  invitedBy: "Olga",
  expiresAt: "2100-01-01T00:00:00Z",
  acceptedAt: null as string | null,
  revokedAt: null as string | null,
};
const answer = {
  data: {
    members: {
      totalCount: 3,
      pageInfo: page,
      edges: [
        member("o", "OWNER"),
        member("a", "VIEWER", {
          effectiveRole: "ADMINISTRATOR",
          groups: [{ id: "g", name: "Ops" }],
        }),
        member("v", "VIEWER"),
      ],
    },
    memberGroups: {
      edges: [
        {
          node: {
            __typename: "MemberGroup",
            id: "g",
            name: "Ops",
            role: "ADMINISTRATOR",
            memberCount: 1,
            revision: 1,
            members: [{ id: "a", name: "Name a" }],
          },
        },
      ],
    },
    invitations: {
      edges: [
        { node: invitation },
        { node: { ...invitation, id: "inv_0", email: "olaf@example.com", role: "OWNER" } },
        {
          node: { ...invitation, id: "inv_2", email: "gone@example.com", acceptedAt: "2026-01-01" },
        },
      ],
    },
  },
};

describe("MembersView", () => {
  it("changes a role from the revision that was shown", async () => {
    const done = { data: { updateMember: { member: { id: "v", role: "OPERATOR" } } } };
    const { sent, container } = show(
      <MembersView viewerRole="OWNER" self="o@example.com" />,
      answer,
      done,
      answer,
    );
    const role = await screen.findByLabelText("Role of Name v");
    expect(screen.getByText("Administrator by a group")).toBeVisible();
    expect(screen.getAllByTestId("invitation")).toHaveLength(2);
    await accessible(container);
    await userEvent.selectOptions(role, "Operator");
    const dialog = await screen.findByRole("dialog", { name: "Change the role of Name v?" });
    expect(dialog).toHaveTextContent("Name v becomes operator at once, in place of viewer.");
    expect(sent).toHaveLength(1);
    expect(role).toHaveValue("VIEWER");
    await userEvent.click(within(dialog).getByTestId("confirm"));
    await waitFor(() => expect(sent).toHaveLength(3));
    expect(sent[1]?.variables.input).toEqual({ member: "v", revision: 3, role: "OPERATOR" });
  });

  it("asks before a member is removed, and tells why not", async () => {
    const refused = {
      errors: [{ message: "the last owner stays", extensions: { code: "CONFLICT" } }],
    };
    const { sent } = show(
      <MembersView viewerRole="OWNER" self="o@example.com" />,
      answer,
      refused,
      answer,
    );
    await userEvent.click(await screen.findByRole("button", { name: "Remove Name o" }));
    const dialog = await screen.findByRole("dialog");
    expect(sent).toHaveLength(1);
    await userEvent.click(within(dialog).getByTestId("confirm"));
    expect(await within(dialog).findByTestId("failure")).toHaveTextContent("The last owner stays.");
    expect(sent[1]?.variables.input).toEqual({ member: "o" });
    await userEvent.click(within(dialog).getByRole("button", { name: "Keep" }));
    await userEvent.click(screen.getByRole("button", { name: "Remove Name v" }));
    expect(await screen.findByText("Name v is out at once. What Name v made stays.")).toBeVisible();
    expect(screen.queryByTestId("failure")).toBeNull();
  });

  it("tells whom a change hits who makes it", async () => {
    show(<MembersView viewerRole="OWNER" self="o@example.com" />, answer);
    await userEvent.selectOptions(await screen.findByLabelText("Role of Name o"), "Viewer");
    expect(await screen.findByRole("dialog")).toHaveTextContent(
      "You become viewer at once, and can't take it back yourself.",
    );
  });

  it("shows who was invited, however the link is put away", async () => {
    const made = { id: "inv_3", email: "pia@example.com", expiresAt: "2100-01-01T00:00:00Z" };
    const { sent } = show(
      <MembersView viewerRole="OWNER" self="o@example.com" />,
      answer,
      { data: { createInvitation: { token: "qri_x", invitation: made } } },
      answer,
    );
    await userEvent.click(await screen.findByRole("button", { name: "Invite" }));
    const dialog = await screen.findByRole("dialog");
    await userEvent.click(within(dialog).getByTestId("submit"));
    const email = within(dialog).getByLabelText("E-mail address");
    await waitFor(() => expect(email).toHaveFocus());
    await userEvent.type(email, "pia@example.com{Enter}");
    await within(dialog).findByTestId("invitation-link");
    expect(within(dialog).getByRole("button", { name: "Copy" })).toHaveFocus();
    await userEvent.keyboard("{Escape}");
    await waitFor(() => expect(sent).toHaveLength(3));
  });

  it("puts a member into a group", async () => {
    const done = { data: { addGroupMember: { group: { id: "g", memberCount: 2 } } } };
    const { sent } = show(
      <MembersView viewerRole="OWNER" self="o@example.com" />,
      answer,
      done,
      answer,
    );
    await userEvent.selectOptions(await screen.findByLabelText("Add a member to Ops"), "Name v");
    await waitFor(() => expect(sent).toHaveLength(3));
    expect(sent[1]?.variables.input).toEqual({ group: "g", member: "v" });
  });

  it("lets nobody change whoever has more, and a viewer nothing", async () => {
    show(<MembersView viewerRole="ADMINISTRATOR" self="o@example.com" />, answer);
    expect(await screen.findByLabelText("Role of Name v")).toBeVisible();
    expect(screen.queryByLabelText("Role of Name o")).toBeNull();
    expect(screen.getByLabelText("Take back the invitation of nina@example.com")).toBeVisible();
    expect(screen.queryByLabelText("Take back the invitation of olaf@example.com")).toBeNull();
    show(<MembersView viewerRole="VIEWER" self="o@example.com" />, answer);
    expect(await screen.findByText(/needs the role administrator/)).toBeVisible();
    expect(screen.getAllByRole("button", { name: "Invite" })).toHaveLength(1);
  });

  it("makes a new link in place of one that was lost", async () => {
    const made = { id: "inv_1", expiresAt: "2100-01-01T00:00:00Z" };
    const { sent } = show(
      <MembersView viewerRole="OWNER" self="o@example.com" />,
      answer,
      { data: { resendInvitation: { token: "qri_y", invitation: made } } },
      answer,
    );
    await userEvent.click(await screen.findByLabelText("New link for nina@example.com"));
    expect(await screen.findByText(/earlier link does not work/)).toBeVisible();
    await userEvent.click(screen.getByTestId("confirm"));
    expect(await screen.findByTestId("invitation-link")).toHaveTextContent(
      invitationLink(window.location.origin, "qri_y"),
    );
    expect(sent[1]?.variables.input).toEqual({ invitation: "inv_1" });
  });

  it("tells of a failure", async () => {
    show(<MembersView viewerRole="OWNER" self="o@example.com" />, "lost");
    expect(await screen.findByTestId("failure")).toHaveTextContent("could not be loaded");
  });
});

describe("InviteForm", () => {
  it("shows the link once, with its token behind the #", async () => {
    const made = { id: "inv_3", email: "pia@example.com", expiresAt: "2100-01-01T00:00:00Z" };
    const { sent } = show(<InviteForm viewerRole="ADMINISTRATOR" groups={[]} onDone={() => {}} />, {
      data: { createInvitation: { token: "qri_x", invitation: made } },
    });
    expect(screen.queryByRole("option", { name: "Owner" })).toBeNull();
    await userEvent.click(screen.getByTestId("submit"));
    expect(screen.getByText("Enter the person's e-mail address.")).toBeVisible();
    await userEvent.type(screen.getByLabelText("E-mail address"), "pia@example.com");
    await userEvent.click(screen.getByTestId("submit"));
    expect(await screen.findByTestId("invitation-link")).toHaveTextContent(
      invitationLink(window.location.origin, "qri_x"),
    );
    expect(sent[0]?.variables.input).toMatchObject({ email: "pia@example.com", role: "VIEWER" });
    expect(sent[0]?.variables.input["idempotencyKey"]).toMatch(/^[0-9a-f]{32}$/);
  });

  it("knows where an invitation stands", () => {
    const at = Date.parse("2026-11-22T00:00:00Z");
    expect(invitationState(invitation, at)).toBe("open");
    expect(invitationState({ ...invitation, expiresAt: "2026-11-22T00:00:00Z" }, at)).toBe("ended");
    expect(invitationState({ ...invitation, revokedAt: "2026-11-01T00:00:00Z" }, at)).toBe(
      "revoked",
    );
  });
});
