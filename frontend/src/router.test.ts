import { CombinedError } from "urql";
import { describe, expect, it } from "vitest";
import { failureOf, sentence } from "./api/errors";
import { newKey } from "./api/key";
import { parseSearch, stringifySearch } from "./router";
import { safeTarget } from "./signin/target";
import { duration } from "./ui/time";

describe("search parameters", () => {
  it("stay text: a number or a truth value in the address is none", () => {
    expect(parseSearch("?q=123&live=0&sort=-user")).toEqual({ q: "123", live: "0", sort: "-user" });
    expect(stringifySearch({ q: "123", mode: undefined, sort: "-user", empty: "" })).toBe(
      "?q=123&sort=-user",
    );
    expect(stringifySearch({})).toBe("");
  });
});

describe("safeTarget", () => {
  const origin = "https://q.example";
  it("goes to paths of this site only", () => {
    expect(safeTarget("/v/org_1/tmr-groups?filter=x", origin)).toBe("/v/org_1/tmr-groups?filter=x");
    for (const to of [
      "https://evil.example/",
      "//evil.example/",
      "/\\evil.example",
      "javascript:x",
      7,
      "/login",
    ]) {
      expect(safeTarget(to, origin)).toBe("/");
    }
  });
});

describe("failureOf", () => {
  it("takes code, message and request id from the answer", () => {
    const error = new CombinedError({
      graphQLErrors: [
        {
          message: "nothing new was ordered",
          extensions: { code: "ROLLOUT_UP_TO_DATE", fix: "order more first" },
        },
      ],
      response: new Response(null, { headers: { "x-request-id": "req-1" } }),
    });
    expect(failureOf(error)).toEqual({
      code: "ROLLOUT_UP_TO_DATE",
      message: "Nothing new was ordered.",
      fix: "Order more first.",
      requestId: "req-1",
    });
  });
  it("knows an ended session and a dead network", () => {
    const unauthorized = new CombinedError({
      networkError: new Error("Unauthorized"),
      response: new Response(null, { status: 401 }),
    });
    expect(failureOf(unauthorized).code).toBe("UNAUTHENTICATED");
    expect(failureOf(new CombinedError({ networkError: new Error("offline") })).code).toBe(
      "NETWORK",
    );
    expect(failureOf([{ message: "no", extensions: { code: "FORBIDDEN" } }]).code).toBe(
      "FORBIDDEN",
    );
    expect(failureOf("socket closed").code).toBe("NETWORK");
    const down = new CombinedError({
      networkError: new Error("Service Unavailable"),
      response: new Response(null, { status: 503 }),
    });
    expect(failureOf(down).message).toBe("The platform answers with status 503.");
  });
  it("makes sentences", () => {
    expect(sentence("order more first")).toBe("Order more first.");
    expect(sentence("Done!")).toBe("Done!");
    expect(sentence("  ")).toBe("");
  });
});

it("makes keys without the parts of crypto that need TLS", () => {
  expect(newKey()).toMatch(/^[0-9a-f]{32}$/);
  expect(newKey()).not.toBe(newKey());
});

it("writes durations shortly", () => {
  expect([-5, 304, 4_900, 60_000, 125_000, 700_000, 11_520_000, 3e8].map(duration)).toEqual([
    "0 ms",
    "300 ms",
    "4 s",
    "1 min",
    "2 min 5 s",
    "11 min",
    "3 h 12 min",
    "3 d",
  ]);
});
