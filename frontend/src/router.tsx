import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  notFound,
  Outlet,
  redirect,
  rootRouteId,
} from "@tanstack/react-router";
import type { Client } from "urql";
import { allocationsSearch } from "./allocations/search";
import { failureOf } from "./api/errors";
import { ViewerQuery } from "./api/viewer";
import { containersSearch } from "./containers/search";
import type { ViewerQuery as ViewerResult } from "./gql/graphql";
import { rulesSearch } from "./rules/search";
import { LoadFailure, NotFound, NothingHere, NothingLoaded, Starting } from "./shell/fallback";
import { SignInPage } from "./signin/page";
import { toSignIn } from "./signin/target";
import { groupSearch } from "./tmr/search";
import { usageSearch } from "./usage/search";

export type Viewer = ViewerResult["viewer"];

/** Plain `a=b` search parameters; the router's own would read them as JSON. */
export function parseSearch(search: string): Record<string, string> {
  return Object.fromEntries(new URLSearchParams(search));
}

export function stringifySearch(search: Record<string, unknown>): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(search)) {
    if (typeof value === "string" && value !== "") params.set(key, value);
  }
  const text = params.toString();
  return text ? `?${text}` : "";
}

/** Never resolves when the session has ended: the sign-in page replaces this one. */
async function viewerOf(client: Client): Promise<Viewer> {
  const result = await client.query(ViewerQuery, {}).toPromise();
  if (result.data) return result.data.viewer;
  if (failureOf(result.error).code === "UNAUTHENTICATED") {
    toSignIn();
    return new Promise(() => {});
  }
  throw result.error ?? new Error("the viewer is missing in the answer");
}

function homeOf(viewer: Viewer) {
  return {
    to: "/$side/$organization",
    params: { side: viewer.organization.vendor ? "v" : "c", organization: viewer.organization.id },
  } as const;
}

function routesFor(client: Client, look: () => void) {
  const root = createRootRoute({
    component: Outlet,
    notFoundComponent: NothingHere,
    errorComponent: NothingLoaded,
  });

  const signIn = createRoute({
    getParentRoute: () => root,
    path: "/login",
    validateSearch: (search): { to?: string; failed?: string } => ({
      ...(typeof search["to"] === "string" ? { to: search["to"] } : {}),
      ...(typeof search["failed"] === "string" ? { failed: search["failed"] } : {}),
    }),
    component: function SignIn() {
      const { to, failed } = signIn.useSearch();
      return <SignInPage to={to} failed={failed} />;
    },
  });

  /** Its token is behind the #, as that of `reset`, which browsers send to nobody. */
  const invitation = createRoute({
    getParentRoute: () => root,
    path: "/invitation",
    component: lazyRouteComponent(() => import("./signin/invitation"), "InvitationPage"),
  });

  const reset = createRoute({
    getParentRoute: () => root,
    path: "/reset",
    component: lazyRouteComponent(() => import("./signin/reset"), "ResetPage"),
  });

  const home = createRoute({
    getParentRoute: () => root,
    path: "/",
    beforeLoad: async () => {
      throw redirect({ ...homeOf(await viewerOf(client)), replace: true });
    },
  });

  /** `/v/$vendor` and `/c/$customer`: the same pages, seen from either side. */
  const organization = createRoute({
    getParentRoute: () => root,
    path: "/$side/$organization",
    beforeLoad: async ({ params, location }) => {
      if (params.side !== "v" && params.side !== "c") throw notFound({ routeId: rootRouteId });
      const viewer = await viewerOf(client);
      const { id, vendor, customer } = viewer.organization;
      const allowed = id === params.organization;
      if (allowed && !(params.side === "v" ? vendor : customer)) {
        // Which side it is, who made the link may not have known.
        const href = location.href.replace(/^\/[vc]\//, vendor ? "/v/" : "/c/");
        throw redirect({ href, replace: true });
      }
      return { viewer, allowed, look };
    },
    notFoundComponent: NotFound,
    errorComponent: NothingLoaded,
    component: lazyRouteComponent(() => import("./shell/shell"), "Shell"),
  });

  const start = createRoute({
    getParentRoute: () => organization,
    path: "/",
    beforeLoad: ({ params }) => {
      throw redirect({ to: "/$side/$organization/tmr-groups", params, replace: true });
    },
  });

  const groups = createRoute({
    getParentRoute: () => organization,
    path: "tmr-groups",
    component: lazyRouteComponent(() => import("./tmr/list"), "GroupsPage"),
  });

  const group = createRoute({
    getParentRoute: () => organization,
    path: "tmr-groups/$group",
    validateSearch: groupSearch,
    component: lazyRouteComponent(() => import("./tmr/page"), "GroupPage"),
  });

  const containers = createRoute({
    getParentRoute: () => organization,
    path: "containers",
    validateSearch: containersSearch,
    component: lazyRouteComponent(() => import("./containers/list"), "ContainersPage"),
  });

  const container = createRoute({
    getParentRoute: () => organization,
    path: "containers/$container",
    component: lazyRouteComponent(() => import("./containers/page"), "ContainerPage"),
  });

  const holders = createRoute({
    getParentRoute: () => organization,
    path: "allocations",
    component: lazyRouteComponent(() => import("./allocations/list"), "ContainersPage"),
  });

  const allocations = createRoute({
    getParentRoute: () => organization,
    path: "allocations/$container",
    validateSearch: allocationsSearch,
    component: lazyRouteComponent(() => import("./allocations/page"), "AllocationsPage"),
  });

  const usage = createRoute({
    getParentRoute: () => organization,
    path: "usage/$container",
    validateSearch: usageSearch,
    component: lazyRouteComponent(() => import("./usage/page"), "UsagePage"),
  });

  const ruled = createRoute({
    getParentRoute: () => organization,
    path: "rules",
    component: lazyRouteComponent(() => import("./rules/list"), "RulesListPage"),
  });

  const rules = createRoute({
    getParentRoute: () => organization,
    path: "rules/$container",
    validateSearch: rulesSearch,
    component: lazyRouteComponent(() => import("./rules/page"), "RulesPage"),
  });

  const items = createRoute({
    getParentRoute: () => organization,
    path: "items",
    component: lazyRouteComponent(() => import("./items/list"), "ItemsPage"),
  });

  const newItem = createRoute({
    getParentRoute: () => organization,
    path: "items/new",
    component: lazyRouteComponent(() => import("./items/page"), "NewItemPage"),
  });

  const item = createRoute({
    getParentRoute: () => organization,
    path: "items/$item",
    component: lazyRouteComponent(() => import("./items/page"), "ItemPage"),
  });

  const members = createRoute({
    getParentRoute: () => organization,
    path: "members",
    component: lazyRouteComponent(() => import("./members/page"), "MembersPage"),
  });

  const tokens = createRoute({
    getParentRoute: () => organization,
    path: "tokens",
    component: lazyRouteComponent(() => import("./tokens/page"), "TokensPage"),
  });

  const providers = createRoute({
    getParentRoute: () => organization,
    path: "identity-providers",
    component: lazyRouteComponent(() => import("./identity/page"), "ProvidersPage"),
  });

  const account = createRoute({
    getParentRoute: () => organization,
    path: "account",
    component: lazyRouteComponent(() => import("./account/page"), "AccountPage"),
  });

  return root.addChildren([
    signIn,
    invitation,
    reset,
    home,
    organization.addChildren([
      start,
      groups,
      group,
      containers,
      container,
      holders,
      allocations,
      usage,
      ruled,
      rules,
      items,
      newItem,
      item,
      members,
      tokens,
      providers,
      account,
    ]),
  ]);
}

/** Look is for when something is forbidden: it asks for the viewer's rights again. */
export function newRouter(client: Client, look: () => void) {
  return createRouter({
    routeTree: routesFor(client, look),
    parseSearch,
    stringifySearch,
    defaultErrorComponent: LoadFailure,
    defaultNotFoundComponent: NotFound,
    defaultPendingComponent: Starting,
    defaultPendingMs: 150,
    defaultPreload: "intent",
    scrollRestoration: true,
  });
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof newRouter>;
  }
}
