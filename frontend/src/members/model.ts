import type { Act } from "../containers/act";
import type { MembersQuery, Role } from "../gql/graphql";
import type { Question } from "../organization/confirm";

type Edges<T> = readonly ({ node?: T | null } | null)[] | null | undefined;

export function nodes<T>(edges: Edges<T>): T[] {
  return (edges ?? []).flatMap((edge) => (edge?.node ? [edge.node] : []));
}

type NodeOf<T extends { edges?: Edges<unknown> }> = T extends { edges?: Edges<infer N> }
  ? NonNullable<N>
  : never;

export type Member = NodeOf<MembersQuery["members"]>;
export type MemberGroup = NodeOf<MembersQuery["memberGroups"]>;
export type Invitation = NodeOf<MembersQuery["invitations"]>;

/** What the parts of the page may do. */
export interface Acting {
  /** The viewer's role: nobody gives more than he has. */
  viewerRole: Role;
  may: boolean;
  run: Act["run"];
  /** Who looks at the page, by the e-mail address. */
  self: string;
  onAsk: (question: Question) => void;
  onDone: () => void;
}

/** Where an invitation stands. */
export function invitationState(
  i: Invitation,
  now: number,
): "open" | "accepted" | "revoked" | "ended" {
  if (i.acceptedAt) return "accepted";
  if (i.revokedAt) return "revoked";
  return Date.parse(i.expiresAt) <= now ? "ended" : "open";
}

/** The link that the invited person gets; the token is behind the #, so no server logs it. */
export function invitationLink(origin: string, token: string): string {
  return `${origin}/invitation#${token}`;
}
