import { screen, waitFor } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { afterEach, expect, it, vi } from "vitest";
import { entries, openApp, VENDOR, viewerOf } from "./app";
import { accessible } from "./page";

vi.mock("../live/socket", async () => {
  const { ConnectionStore } = await import("../live/connection");
  return {
    socketURL: () => "ws://localhost/graphql",
    LiveSocket: class {
      connection = new ConnectionStore();
      subscribe() {
        return () => {};
      }
      close() {}
    },
  };
});

const fault = vi.hoisted(() => ({ now: null as Error | null }));

vi.mock("../rules/list", () => ({
  RulesListPage: () => {
    if (fault.now) throw fault.now;
    return null;
  },
}));

let stop = () => {};

afterEach(() => {
  stop();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
  window.history.replaceState({}, "", "/");
});

function open(path: string, answers: Parameters<typeof openApp>[1] = {}) {
  const app = openApp(path, {
    Viewer: viewerOf(VENDOR),
    Catalog: { items: entries("Item", [], null) },
    ...answers,
  });
  stop = app.stop;
  return app;
}

const CUSTOMER = { ...VENDOR, vendor: false, customer: true };
const TEST = { id: "org_2", name: "Acme", environment: "TEST", role: "OWNER" };

it("offers to act for the other organization that a page belongs to", async () => {
  const { asked, container } = open("/v/org_2/items", {
    "/auth/organizations": { organizations: [{ ...VENDOR, role: "OWNER" }, TEST] },
  });
  expect(
    await screen.findByRole("heading", { name: "This page belongs to Acme (test environment)" }),
  ).toBeVisible();
  expect(screen.queryByText(/not a member/)).toBeNull();
  await accessible(container);
  await userEvent.click(screen.getByTestId("act-for"));
  expect(asked.at(-1)).toMatchObject({
    operation: "/auth/organization",
    variables: { organization: "org_2" },
  });
});

it("says who can let one in where one is no member", async () => {
  const { container } = open("/v/org_9/items", { "/auth/organizations": { organizations: [] } });
  expect(await screen.findByText(/You are not a member/)).toBeVisible();
  expect(screen.queryByTestId("act-for")).toBeNull();
  await accessible(container);
});

it("leads from the wrong side of an organization to its own", async () => {
  const { router } = open("/c/org_1/items?a=b");
  await screen.findByRole("heading", { name: "Items" });
  expect(router.state.location.href).toMatch(/^\/v\/org_1\/items/);
});

it("keeps the way to all pages where there is nothing, and one main part", async () => {
  const { container } = open("/v/org_1/nowhere");
  expect(await screen.findByText("There is nothing at this address")).toBeVisible();
  expect(screen.getByRole("link", { name: "Items" })).toBeVisible();
  expect(screen.getAllByRole("main")).toHaveLength(1);
  await accessible(container);
});

it.each(["/x/org_1/items", "/nowhere/at/all"])(
  "has a main part outside, too (%s)",
  async (path) => {
    open(path);
    expect(await screen.findByText("There is nothing at this address")).toBeVisible();
    expect(screen.getAllByRole("main")).toHaveLength(1);
  },
);

it("asks for the organization of the page, whomever the session acts for by now", async () => {
  const { asked, client } = open("/v/org_1/items");
  await screen.findByText("No items yet");
  const organizationOf = (operation: string) =>
    asked.find((a) => a.operation === operation)?.headers["quorate-organization"];
  expect(organizationOf("Catalog")).toBe("org_1");
  expect(organizationOf("Viewer")).toBeUndefined();
  expect(client).toBeDefined();
});

it("tells a customer whose the items are, be he owner of his organization", async () => {
  open("/c/org_1/items/new", { Viewer: viewerOf(CUSTOMER) });
  expect(await screen.findByText(/Items are the vendor's/)).toBeVisible();
  expect(screen.queryByText(/needs the role/)).toBeNull();
});

it.each([
  ["ADMINISTRATOR", /Register one by the request file/, true],
  ["OPERATOR", /An administrator registers one/, false],
])("has a customer's %s register containers, or says who does", async (role, words, may) => {
  open("/c/org_1/containers", {
    Viewer: viewerOf(CUSTOMER, role),
    AllContainers: { containers: entries("Container", [], null) },
  });
  expect(await screen.findByText(words)).toBeVisible();
  expect(screen.queryByTestId("register") !== null).toBe(may);
  if (!may) return;
  await userEvent.click(screen.getByTestId("register"));
  expect(await screen.findByLabelText(/gets updates over the link/)).toBeVisible();
  expect(screen.queryByLabelText("Customer")).toBeNull();
});

it.each([
  ["/v/org_1/containers/130-7", "Container"],
  ["/v/org_1/rules/130-7", "Rules"],
  ["/v/org_1/tmr-groups/tmr_1", "TMR group"],
  ["/v/org_1/items/itm_1", "Item"],
  ["/v/org_1/usage/130-7", "Usage"],
])("has a heading where nothing could be loaded (%s)", async (path, heading) => {
  const away = () => {
    throw new TypeError("the network is gone");
  };
  const { container } = open(path, {
    ContainerDetails: away,
    Rules: away,
    Group: away,
    Item: away,
    ContainerUse: away,
  });
  expect(await screen.findByTestId("failure")).toBeVisible();
  expect(screen.getByRole("heading", { level: 1 })).toHaveTextContent(heading);
  await accessible(container);
});

it("closes the menu of narrow windows by Escape", async () => {
  open("/v/org_1/items");
  await userEvent.click(await screen.findByRole("button", { name: "Open the menu" }));
  expect(screen.getByRole("button", { name: "Close the menu" })).toHaveAttribute(
    "aria-expanded",
    "true",
  );
  await userEvent.keyboard("{Escape}");
  await waitFor(() =>
    expect(screen.getByRole("button", { name: "Open the menu" })).toHaveAttribute(
      "aria-expanded",
      "false",
    ),
  );
});

it("lists all TMR groups, however many there are", async () => {
  const groups = Array.from({ length: 130 }, (_, n) => ({
    id: `tmr_${n}`,
    name: `Group ${n}`,
    virtualSerial: `131-${n}`,
    status: "1:#7 2:#7 3:#7",
    quantity: n === 0 ? 1 : 12_345,
    tmrId: 7,
    health: "FULLY_REDUNDANT",
    clients: 1,
  }));
  open("/v/org_1/tmr-groups", {
    Groups: ({ variables }: { variables: Record<string, unknown> }) => ({
      tmrGroups: entries("TmrGroup", groups, variables["after"]),
    }),
  });
  expect(await screen.findByText("Group 129")).toBeVisible();
  expect(screen.getAllByText(/12,345 licenses/)).toHaveLength(129);
  expect(screen.getByText(/1 license$/)).toBeVisible();
});

it.each([
  ["Failed to fetch dynamically imported module: /assets/x.js", /The platform does not answer/],
  ["x is undefined", /The dashboard has a fault here/],
])("tells a platform that is away from a fault of its own (%s)", async (message, told) => {
  fault.now = new TypeError(message);
  vi.spyOn(console, "error").mockImplementation(() => {});
  open("/v/org_1/rules");
  expect(await screen.findByTestId("failure")).toHaveTextContent(told);
  expect(screen.getAllByRole("main")).toHaveLength(1);
});

it("finds the one container that hands out licenses behind many backends", async () => {
  const containers = Array.from({ length: 150 }, (_, n) => ({
    id: `con_${n}`,
    serial: `130-${n}`,
    kind: "UNIVERSAL",
    tmrGroup: n === 120 ? null : { __typename: "TmrGroup", id: "tmr_1", name: "A group" },
  }));
  const { router } = open("/v/org_1/allocations", {
    Containers: ({ variables }: { variables: Record<string, unknown> }) => ({
      containers: entries("Container", containers, variables["after"]),
    }),
  });
  await waitFor(() => expect(router.state.location.pathname).toBe("/v/org_1/allocations/130-120"));
});

it("names a container by its serial number where the address has its id", async () => {
  const container = { __typename: "Container", id: "con_1", serial: "130-7", kind: "UNIVERSAL" };
  open("/v/org_1/usage/con_1", {
    ContainerUse: { container: { ...container, use: [] } },
  });
  expect(await screen.findByText("130-7")).toBeVisible();
  expect(screen.queryByText("con_1")).toBeNull();
});

it("makes an item once, also where its answer is lost", async () => {
  const product = { id: "prd_1", reference: "6000010:14", name: "Charts" };
  const { asked } = open("/v/org_1/items/new", {
    Products: { products: entries("Product", [product], null) },
    CreateItem: () => {
      throw new TypeError("the network is gone");
    },
  });
  await userEvent.type(await screen.findByLabelText(/^Name/), "Seats");
  for (const times of [1, 2]) {
    await userEvent.click(screen.getByTestId("save-item"));
    await waitFor(() =>
      expect(asked.filter((a) => a.operation === "CreateItem")).toHaveLength(times),
    );
    await screen.findByTestId("failure");
  }
  const [first, second] = asked.filter((a) => a.operation === "CreateItem");
  expect(first?.variables).toMatchObject({
    input: { name: "Seats", idempotencyKey: expect.any(String) },
  });
  expect(second?.variables).toEqual(first?.variables);
});

it("keeps what it shows when the platform does not answer, and says so", async () => {
  let away = false;
  const member = {
    id: "mem_1",
    name: "Grace",
    email: "grace@example.com",
    role: "VIEWER",
    effectiveRole: "VIEWER",
    revision: 1,
    groups: [],
  };
  open("/v/org_1/members", {
    Members: () => {
      if (away) throw new TypeError("the network is gone");
      return {
        members: entries("Member", [member], null),
        memberGroups: entries("MemberGroup", [], null),
        invitations: entries("Invitation", [], null),
      };
    },
  });
  expect(await screen.findByText("Grace")).toBeVisible();
  away = true;
  await userEvent.click(screen.getByRole("button", { name: "Invite" }));
  await userEvent.click(await screen.findByRole("button", { name: "Cancel" }));
  expect(await screen.findByText("What is shown may be out of date")).toBeVisible();
  expect(screen.getByText("Grace")).toBeVisible();
  away = false;
  await userEvent.click(screen.getByRole("button", { name: "Try again" }));
  await waitFor(() => expect(screen.queryByText(/out of date/)).toBeNull());
});

it("shows all members, however many there are", async () => {
  const members = Array.from({ length: 130 }, (_, n) => ({
    id: `mem_${n}`,
    name: `Member ${n}`,
    email: `m${n}@example.com`,
    role: "VIEWER",
    effectiveRole: "VIEWER",
    revision: 1,
    groups: [],
  }));
  open("/v/org_1/members", {
    Members: ({ variables }: { variables: Record<string, unknown> }) => ({
      members: entries("Member", members, variables["after"]),
      memberGroups: entries("MemberGroup", [], null),
      invitations: entries("Invitation", [], null),
    }),
  });
  expect(await screen.findByText("Member 129")).toBeVisible();
  expect(screen.getByText("Member 0")).toBeVisible();
});

it("goes to earlier tokens and back to the newest", async () => {
  const token = (n: number) => ({
    __typename: "ApiToken",
    id: `tok_${n}`,
    name: `token ${n}`,
    role: "VIEWER",
    scopes: [],
    hint: "x9Yz",
    createdBy: "Ada",
    createdAt: "2026-11-01T08:00:00Z",
    expiresAt: null,
    revokedAt: null,
    lastUsedAt: null,
  });
  open("/v/org_1/tokens", {
    ApiTokens: ({ variables }: { variables: Record<string, unknown> }) => ({
      apiTokens: {
        __typename: "ApiTokenConnection",
        totalCount: 2,
        pageInfo: {
          __typename: "PageInfo",
          hasPreviousPage: !variables["before"],
          startCursor: "second",
        },
        edges: [{ __typename: "ApiTokenEdge", node: token(variables["before"] ? 1 : 2) }],
      },
    }),
  });
  await screen.findByText("token 2");
  await userEvent.click(screen.getByRole("button", { name: "Show earlier ones" }));
  await screen.findByText("token 1");
  await userEvent.click(screen.getByRole("button", { name: "Back to the newest" }));
  await screen.findByText("token 2");
  expect(screen.queryByText("token 1")).toBeNull();
});
