import { Kind, OperationTypeNode } from "graphql";
import { afterEach, expect, test, vi } from "vitest";
import { newClient } from "./client";
import { operations, texts } from "./documents";

afterEach(() => vi.unstubAllGlobals());

// A browser that may execute registered documents alone can use the dashboard.
test("what the client sends is among the documents of the dashboard", async () => {
  const registered = new Set(texts());
  const sent: string[] = [];
  vi.stubGlobal("fetch", async (_url: unknown, init?: RequestInit) => {
    if (typeof init?.body === "string") sent.push(JSON.parse(init.body).query);
    return new Response(JSON.stringify({ errors: [{ message: "no" }] }), {
      headers: { "content-type": "application/json" },
    });
  });
  const client = newClient(
    () => undefined,
    () => undefined,
  );
  let asked = 0;
  for (const document of operations) {
    const [operation] = document.definitions;
    if (
      operation?.kind !== Kind.OPERATION_DEFINITION ||
      operation.operation === OperationTypeNode.SUBSCRIPTION
    )
      continue;
    asked++;
    await (operation.operation === OperationTypeNode.QUERY
      ? client.query(document, {}, { requestPolicy: "network-only" })
      : client.mutation(document, {}));
  }
  expect(asked).toBeGreaterThan(20);
  expect(sent).toHaveLength(asked);
  for (const text of sent) expect(registered).toContain(text);
});
