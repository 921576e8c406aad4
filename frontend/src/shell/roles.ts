import type { Role } from "../gql/graphql";

export const ROLES: Record<Role, string> = {
  OWNER: "Owner",
  ADMINISTRATOR: "Administrator",
  OPERATOR: "Operator",
  VIEWER: "Viewer",
};

/** Whether a role may order, roll out and release. The platform decides; this only spares the attempt. */
export function mayOperate(role: Role): boolean {
  return role !== "VIEWER";
}

export const NEEDS_OPERATOR =
  "This needs the role operator. Ask an administrator of your organization.";

/** Whether a role may make and change firms, products and items. */
export function mayEditCatalog(role: Role): boolean {
  return role === "OWNER" || role === "ADMINISTRATOR";
}

/**
 * Whether a role may register containers: a vendor's for anybody, a customer's for the
 * customer; and, at a vendor, decide about suspected ones and replace backends.
 */
export const mayProvision = mayEditCatalog;

export const NEEDS_ADMINISTRATOR =
  "Changing needs the role administrator. Ask an owner of your organization.";

/** Whether a role may change members, groups, invitations and API tokens. */
export const mayManageMembers = mayEditCatalog;

/** Whether a role may add and change identity providers: who chooses one can be anybody. */
export function mayChooseProvider(role: Role): boolean {
  return role === "OWNER";
}

export const NEEDS_OWNER = "Changing needs the role owner. Ask an owner of your organization.";

/** The roles that a role may give: its own and less. */
export function rolesUpTo(role: Role): Role[] {
  const all: Role[] = ["OWNER", "ADMINISTRATOR", "OPERATOR", "VIEWER"];
  return all.slice(all.indexOf(role));
}
