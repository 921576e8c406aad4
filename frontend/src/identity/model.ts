import type { IdentityProvidersQuery, Role, UpdateIdentityProviderInput } from "../gql/graphql";

export type Provider = NonNullable<
  NonNullable<NonNullable<IdentityProvidersQuery["identityProviders"]["edges"]>[number]>["node"]
>;

/** An identity provider as a form has it. */
export interface Draft {
  name: string;
  issuer: string;
  clientId: string;
  /** Never filled in: the platform does not tell it. */
  secret: string;
  domains: string;
  /** Empty: persons must be invited. */
  joinRole: Role | "";
}

export const NEW: Draft = {
  name: "",
  issuer: "",
  clientId: "",
  secret: "",
  domains: "",
  joinRole: "",
};

export function draftOf(p: Provider): Draft {
  const { name, issuer, clientId } = p;
  return {
    name,
    issuer,
    clientId,
    secret: "",
    domains: p.domains.join(", "),
    joinRole: p.joinRole ?? "",
  };
}

/** `a.example, b.example`, with spaces, commas or lines between. */
export function domainsOf(text: string): string[] {
  return text
    .split(/[\s,;]+/)
    .map((d) => d.replace(/^@/, "").toLowerCase())
    .filter((d) => d !== "");
}

export type Mistakes = Partial<Record<keyof Draft, string>>;

/** What the page knows to be wrong; the platform knows more. */
export function mistakesOf(draft: Draft): Mistakes {
  const wrong: Mistakes = {};
  const domains = domainsOf(draft.domains);
  const odd = domains.find((d) => !/^[^@/:]+\.[^@/:.]+$/.test(d));
  if (draft.name.trim() === "") wrong.name = "Enter a name.";
  if (!/^https?:\/\/[^/]+/.test(draft.issuer.trim())) {
    wrong.issuer = "Enter the issuer’s address, beginning with https://.";
  }
  if (draft.clientId.trim() === "") wrong.clientId = "Enter the client’s id.";
  if (odd !== undefined) wrong.domains = `${odd} is not a domain: write it as example.com.`;
  else if (draft.joinRole !== "" && domains.length === 0) {
    wrong.domains = "Enter the domains of those who may join: else everybody could.";
  }
  return wrong;
}

/** What both mutations take of a draft. */
export function inputOf(draft: Draft) {
  return {
    name: draft.name.trim(),
    issuer: draft.issuer.trim(),
    clientId: draft.clientId.trim(),
    // Left out: there is none, or the present one stays.
    ...(draft.secret === "" ? {} : { clientSecret: draft.secret }),
    domains: domainsOf(draft.domains),
    joinRole: draft.joinRole || null,
  };
}

/** A change of a provider, from the revision that was shown. */
export function changeOf(
  p: Provider,
  draft: Draft,
  enforced: boolean,
): UpdateIdentityProviderInput {
  return { identityProvider: p.id, revision: p.revision, ...inputOf(draft), enforced };
}

/** Where the provider sends browsers back to; it has to know this address. */
export function redirectAddress(origin: string): string {
  return `${origin}/auth/oidc/callback`;
}

/** The way in by a provider, without the sign-in page. */
export function signInLink(origin: string, p: Pick<Provider, "id">): string {
  return `${origin}/auth/oidc/start?provider=${encodeURIComponent(p.id)}`;
}
