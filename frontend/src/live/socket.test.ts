import { describe, expect, it } from "vitest";
import { ConnectionStore } from "./connection";
import { backoff, positionOf, socketURL } from "./socket";

describe("backoff", () => {
  it("doubles from a quarter of a second to five seconds, half of it by chance", () => {
    expect(backoff(0, 0)).toBe(125);
    expect(backoff(0, 1)).toBe(250);
    expect(backoff(3, 1)).toBe(2_000);
    expect(backoff(40, 1)).toBe(5_000);
    expect(backoff(40, 0)).toBe(2_500);
  });
});

describe("ConnectionStore", () => {
  it("keeps the time of the first loss until it is live again", () => {
    const store = new ConnectionStore();
    expect(store.get()).toEqual({ state: "connecting" });
    store.lost(1);
    expect(store.get()).toEqual({ state: "connecting" });
    store.live();
    store.lost(2);
    store.lost(3);
    expect(store.get()).toEqual({ state: "reconnecting", since: 2 });
    store.live();
    expect(store.get()).toEqual({ state: "live" });
  });
});

it("uses TLS where the page does", () => {
  expect(socketURL({ protocol: "https:", host: "q.example" })).toBe("wss://q.example/graphql");
  expect(socketURL({ protocol: "http:", host: "127.0.0.1:8080" })).toBe(
    "ws://127.0.0.1:8080/graphql",
  );
});

it("finds where a stream is in what it brought", () => {
  expect(positionOf({ allocationsChanged: { position: "ABC.7", removed: [] } })).toBe("ABC.7");
  expect(positionOf({ viewer: { name: "Ada" }, none: null })).toBeNull();
  expect(positionOf(undefined)).toBeNull();
});
