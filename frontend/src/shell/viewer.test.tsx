import { MantineProvider } from "@mantine/core";
import { RouterProvider } from "@tanstack/react-router";
import { act, render, screen, waitFor } from "@testing-library/react";
import { Provider } from "urql";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { CatalogQuery } from "../api/items";
import { newApp } from "../app";
import type { Role } from "../gql/graphql";

const streams = vi.hoisted(() => ({ forbidden: () => {} }));

vi.mock("../live/socket", async () => {
  const { ConnectionStore } = await import("../live/connection");
  return {
    socketURL: () => "ws://localhost/graphql",
    LiveSocket: class {
      connection = new ConnectionStore();
      constructor(_url: string, _onSignedOut: () => void, onForbidden: () => void) {
        streams.forbidden = onForbidden;
      }
      close() {}
    },
  };
});

const FORBIDDEN = { message: "your role may not", extensions: { code: "FORBIDDEN" } };

let role: Role;
let refused: boolean;
let asked: number;
let stop: () => void;

beforeEach(() => {
  role = "VIEWER";
  refused = false;
  asked = 0;
  vi.stubGlobal("scrollTo", () => {});
  vi.stubGlobal("fetch", async (_url: string, init: { body: string }) => {
    const { operationName } = JSON.parse(init.body) as { operationName: string };
    const organization = {
      __typename: "Organization",
      id: "org_1",
      name: "Acme",
      vendor: true,
      customer: false,
      environment: "LIVE",
    };
    if (operationName === "Viewer") asked++;
    const viewer = {
      __typename: "Viewer",
      name: "Ada",
      email: "ada@example.com",
      role,
      organization,
    };
    const pageInfo = { __typename: "PageInfo", hasNextPage: false, endCursor: null };
    const items = { __typename: "ItemConnection", edges: [], totalCount: 0, pageInfo };
    const body =
      operationName !== "Viewer" && refused
        ? { data: null, errors: [FORBIDDEN] }
        : { data: operationName === "Viewer" ? { viewer } : { items } };
    return new Response(JSON.stringify(body), { headers: { "content-type": "application/json" } });
  });
});

afterEach(() => {
  stop();
  vi.useRealTimers();
  vi.unstubAllGlobals();
  window.history.replaceState({}, "", "/");
});

async function open() {
  window.history.replaceState({}, "", "/v/org_1/items");
  const app = newApp();
  stop = app.stop;
  render(
    <MantineProvider env="test">
      <Provider value={app.client}>
        <RouterProvider router={app.router} />
      </Provider>
    </MantineProvider>,
  );
  await screen.findByRole("heading", { name: "Items" });
  return app;
}

const wait = () => act(() => new Promise((resolve) => setTimeout(resolve, 0)));

it("shows rights that were given meanwhile as soon as the window has the focus", async () => {
  await open();
  expect(screen.queryByTestId("new-item")).toBeNull();
  role = "ADMINISTRATOR";
  act(() => void window.dispatchEvent(new Event("focus")));
  expect(await screen.findByTestId("new-item")).toBeVisible();
  expect(asked).toBe(2);
});

it("asks again when something is forbidden, and takes back what is offered", async () => {
  role = "OWNER";
  const { client } = await open();
  expect(await screen.findByTestId("new-item")).toBeVisible();
  role = "VIEWER";
  refused = true;
  await act(() =>
    client.query(CatalogQuery, { after: "x" }, { requestPolicy: "network-only" }).toPromise(),
  );
  await waitFor(() => expect(screen.queryByTestId("new-item")).toBeNull());
  expect(asked).toBe(2);
});

it("asks again when a stream is forbidden, and takes back what is offered", async () => {
  role = "OWNER";
  await open();
  expect(await screen.findByTestId("new-item")).toBeVisible();
  role = "VIEWER";
  act(() => streams.forbidden());
  await waitFor(() => expect(screen.queryByTestId("new-item")).toBeNull());
  expect(asked).toBe(2);
});

it("asks once for what happens at once, and nobody who is not signed in", async () => {
  const closed = newApp();
  window.dispatchEvent(new Event("focus"));
  await wait();
  expect(asked).toBe(0);
  closed.stop();
  const { router } = await open();
  const invalidate = vi.spyOn(router, "invalidate");
  for (let i = 0; i < 3; i++) window.dispatchEvent(new Event("focus"));
  document.dispatchEvent(new Event("visibilitychange"));
  await wait();
  window.dispatchEvent(new Event("focus"));
  await wait();
  expect(asked).toBe(2);
  expect(invalidate).not.toHaveBeenCalled();
});
