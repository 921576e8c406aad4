// Members, tokens, sessions and what one sees to for oneself, made up.
import { randomUUID } from "node:crypto";

const connection = (type, all) => ({
  __typename: `${type}Connection`,
  totalCount: all.length,
  pageInfo: { __typename: "PageInfo", hasNextPage: false, hasPreviousPage: false },
  edges: all.map((node) => ({ __typename: `${type}Edge`, cursor: node.id, node })),
});

const QR =
  "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII=";

export function createAccounts(world, failure) {
  const made = "2026-11-01T08:00:00Z";
  const groups = [];
  const member = (id, name, role) => ({
    __typename: "Member",
    id,
    name,
    email: `${name.split(" ")[0].toLowerCase()}@meridian.example`,
    role,
    effectiveRole: role,
    revision: 1,
    createdAt: made,
    groups: () => groups.filter((g) => g.ids.includes(id)),
  });
  const members = [
    member("mem_1", "Olivia Park", "OWNER"),
    member("mem_2", "Vera Lindt", "VIEWER"),
    member("mem_3", "Maximilian von Wolkenstein-Trostburg", "OPERATOR"),
  ];
  const group = (name, role) => ({
    __typename: "MemberGroup",
    id: `mgr_${randomUUID()}`,
    name,
    role,
    revision: 1,
    createdAt: made,
    ids: [],
    memberCount() {
      return this.ids.length;
    },
    members() {
      return members.filter((m) => this.ids.includes(m.id));
    },
  });
  groups.push(group("Operations", "OPERATOR"));
  const invitations = [];
  const tokens = [];
  const token = (input) => ({
    __typename: "ApiToken",
    id: `tok_${randomUUID()}`,
    name: input.name,
    role: input.role,
    scopes: input.scopes ?? [],
    hint: "x9Yz",
    createdBy: "Olivia Park",
    createdAt: made,
    expiresAt: input.expiresAt ?? null,
  });
  tokens.push(token({ name: "erp", role: "OPERATOR", scopes: ["READ", "ORDER"] }));
  const providers = [];
  const owner = (act) => (input, context) => {
    if (context.viewer.role !== "OWNER") throw failure("FORBIDDEN", "you are no owner");
    return act(input, context);
  };
  const checked = ({ name, issuer, clientId, domains, joinRole, enforced }) => {
    if (/unknown/.test(issuer)) {
      const what = "the identity provider does not answer";
      throw failure("UNAVAILABLE", what, { field: "issuer" }, "check its address");
    }
    return { name, issuer, clientId, domains, joinRole, enforced };
  };
  const find = (all, id) => {
    const found = all.find((one) => one.id === id);
    if (!found) throw failure("NOT_FOUND", "there is no such thing");
    return found;
  };
  const administrator = (act) => (input, context) => {
    if (context.viewer.role === "VIEWER") throw failure("FORBIDDEN", "you may not manage members");
    return act(input, context);
  };
  const { organization } = world;
  const test = { ...organization, id: `${organization.id}-test`, environment: "TEST" };
  const account = { name: "Olivia Park", email: "olivia@meridian.example", secondFactor: false };
  const sessions = ["Firefox", "Chrome"].map((name, i) => ({
    id: `session-${i}`,
    agent: `Mozilla/5.0 (X11; Linux x86_64) ${name}/140.0`,
    address: `192.0.2.${i + 1}`,
    began: made,
    seen: "2026-11-22T08:00:00Z",
    current: i === 0,
  }));

  return {
    fields: {
      members: () => connection("Member", members),
      memberGroups: () => connection("MemberGroup", groups),
      invitations: () => connection("Invitation", invitations),
      apiTokens: () => connection("ApiToken", tokens),
      updateMember: administrator(({ input }) => {
        const found = find(members, input.member);
        Object.assign(found, { role: input.role, effectiveRole: input.role });
        found.revision += 1;
        return { member: found };
      }),
      removeMember: administrator(({ input }) => {
        members.splice(members.indexOf(find(members, input.member)), 1);
        return { removedMemberId: input.member };
      }),
      createInvitation: administrator(({ input }) => {
        const invitation = {
          __typename: "Invitation",
          id: `inv_${randomUUID()}`,
          name: "",
          ...input,
          invitedBy: "Olivia Park",
          expiresAt: "2100-01-01T00:00:00Z",
          createdAt: made,
        };
        invitations.push(invitation);
        return { invitation, token: "qri_made-up" };
      }),
      resendInvitation: administrator(({ input }) => ({
        invitation: find(invitations, input.invitation),
        token: "qri_made-anew",
      })),
      revokeInvitation: administrator(({ input }) => {
        const invitation = find(invitations, input.invitation);
        invitation.revokedAt = made;
        return { invitation };
      }),
      createMemberGroup: administrator(({ input }) => {
        const added = group(input.name, input.role);
        groups.push(added);
        return { group: added };
      }),
      addGroupMember: administrator(({ input }) => {
        const found = find(groups, input.group);
        found.ids.push(input.member);
        return { group: found, member: find(members, input.member) };
      }),
      createApiToken: administrator(({ input }) => {
        const apiToken = token(input);
        tokens.push(apiToken);
        return { apiToken, secret: "qrt_made-up-and-shown-this-once" };
      }),
      identityProviders: () => connection("IdentityProvider", providers),
      createIdentityProvider: owner(({ input }) => {
        const id = `idp_${randomUUID()}`;
        const identityProvider = { __typename: "IdentityProvider", id, revision: 1 };
        Object.assign(identityProvider, { ...checked(input), createdAt: made });
        providers.push(identityProvider);
        return { identityProvider };
      }),
      updateIdentityProvider: owner(({ input }) => {
        const identityProvider = find(providers, input.identityProvider);
        if (identityProvider.revision !== input.revision) {
          throw failure("CONFLICT", "the identity provider was changed meanwhile");
        }
        Object.assign(identityProvider, checked(input), { revision: input.revision + 1 });
        return { identityProvider };
      }),
      deleteIdentityProvider: owner(({ input }) => {
        providers.splice(providers.indexOf(find(providers, input.identityProvider)), 1);
        return { deletedIdentityProviderId: input.identityProvider };
      }),
      revokeApiToken: administrator(({ input }) => {
        const apiToken = find(tokens, input.apiToken);
        apiToken.revokedAt = made;
        return { apiToken };
      }),
    },

    /** The answer of an endpoint for who is signed in, or of one that needs nobody; undefined: none. */
    rest(path, input, viewer) {
      if (path === "/auth/providers") {
        const id = `idp_${randomUUID()}`;
        return { providers: [{ id, name: "Company account", organization: organization.name }] };
      }
      if (path === "/auth/invitation") {
        const { name } = organization;
        const role = "OPERATOR";
        const about = { email: "nina@meridian.example", name: "Nina", role, organization: name };
        const invitation = {
          ...about,
          invitedBy: "Olivia Park",
          expiresAt: "2100-01-01T00:00:00Z",
        };
        return { invitation: { ...invitation, known: false }, signedIn: "" };
      }
      if (!viewer) return undefined;
      switch (path) {
        case "/auth/organizations":
          return {
            organizations: [organization, test].map((o) => ({ ...o, role: viewer.role })),
          };
        case "/auth/organization":
          world.acting = input.organization === test.id ? test : organization;
          return {};
        case "/auth/account":
          if (input) Object.assign(account, input);
          return { account: { ...account, recoveryCodes: account.secondFactor ? 10 : 0 } };
        case "/auth/sessions":
          return { sessions };
        case "/auth/sessions/end":
          for (const s of sessions.filter((one) =>
            input.others ? !one.current : one.id === input.id,
          ))
            sessions.splice(sessions.indexOf(s), 1);
          return {};
        case "/auth/password":
          return {};
        case "/auth/second/begin":
          return { secret: "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", uri: "otpauth://totp/x", qr: QR };
        case "/auth/second/confirm":
          account.secondFactor = true;
          return { recoveryCodes: Array.from({ length: 10 }, (_, i) => `abcd-efgh-ijkl-mno${i}`) };
        case "/auth/second/end":
          account.secondFactor = false;
          return {};
      }
      return undefined;
    },
  };
}
