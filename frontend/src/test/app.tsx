import { MantineProvider } from "@mantine/core";
import { RouterProvider } from "@tanstack/react-router";
import { render } from "@testing-library/react";
import { Provider } from "urql";
import { vi } from "vitest";
import { newApp } from "../app";

/** What one is asked: an operation of the API, or a path under /auth. */
export interface Request {
  operation: string;
  variables: Record<string, unknown>;
  headers: Record<string, string>;
}

type Answers = Record<string, object | ((request: Request) => object)>;

export const VENDOR = {
  __typename: "Organization",
  id: "org_1",
  name: "Acme",
  vendor: true,
  customer: false,
  environment: "LIVE",
};

export function viewerOf(organization: object, role = "OWNER") {
  const viewer = { __typename: "Viewer", name: "Ada", email: "ada@example.com", role };
  return { viewer: { ...viewer, organization } };
}

/** Entries of a list as the API gives them, from one position on. */
export function entries(type: string, nodes: object[], after: unknown, most = 100) {
  const from = after ? Number(after) : 0;
  const end = Math.min(from + most, nodes.length);
  return {
    __typename: `${type}Connection`,
    totalCount: nodes.length,
    pageInfo: {
      __typename: "PageInfo",
      hasNextPage: end < nodes.length,
      endCursor: String(end),
    },
    edges: nodes
      .slice(from, end)
      .map((node) => ({ __typename: `${type}Edge`, node: { __typename: type, ...node } })),
  };
}

/** The whole dashboard at an address, with these answers by operation or path; live streams stay still. */
export function openApp(path: string, answers: Answers) {
  const asked: Request[] = [];
  vi.stubGlobal("scrollTo", () => {});
  vi.stubGlobal("fetch", async (url: string, init: RequestInit = {}) => {
    const body = typeof init.body === "string" ? JSON.parse(init.body) : {};
    const request: Request = {
      operation: body.operationName ?? url,
      variables: body.variables ?? body,
      headers: Object.fromEntries(new Headers(init.headers).entries()),
    };
    asked.push(request);
    const found = answers[request.operation] ?? {};
    const answer = typeof found === "function" ? found(request) : found;
    return new Response(JSON.stringify(body.operationName ? { data: answer } : answer), {
      headers: { "content-type": "application/json" },
    });
  });
  window.history.replaceState({}, "", path);
  const app = newApp();
  const { container } = render(
    <MantineProvider env="test">
      <Provider value={app.client}>
        <RouterProvider router={app.router} />
      </Provider>
    </MantineProvider>,
  );
  return { ...app, asked, container };
}
