import type { Sink as ClientSink } from "graphql-ws";
import { describe, expect, it, vi } from "vitest";
import { GroupChanged } from "../api/groups";
import { ConnectionStore } from "./connection";
import { backoff, LiveSocket, positionOf, socketURL } from "./socket";

const sinks: ClientSink[] = [];
vi.mock("graphql-ws", () => ({
  createClient: () => ({ subscribe: (_: unknown, sink: ClientSink) => sinks.push(sink) }),
}));

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

describe("LiveSocket", () => {
  function follow() {
    const seen: string[] = [];
    const socket = new LiveSocket(
      "ws://localhost/graphql",
      () => seen.push("signed out"),
      () => seen.push("rights asked for"),
    );
    socket.subscribe(
      GroupChanged,
      { id: "tmr_1" },
      {
        next: () => seen.push("value"),
        failed: ({ code }) => seen.push(code),
        ended: () => seen.push("ended"),
      },
    );
    const sink = sinks.at(-1);
    if (!sink) throw new Error("nobody subscribed");
    const refuse = (code: string) => {
      sink.next({ errors: [{ message: "no", extensions: { code } }] });
      sink.complete();
    };
    return { seen, sink, refuse };
  }

  it("doesn't ask again for what was refused", () => {
    const { seen, refuse } = follow();
    refuse("NOT_FOUND");
    expect(seen).toEqual(["NOT_FOUND"]);
  });

  it("asks for the viewer's rights when a stream is forbidden", () => {
    const { seen, refuse } = follow();
    refuse("FORBIDDEN");
    expect(seen).toEqual(["rights asked for", "FORBIDDEN"]);
  });

  it("goes on after a failure that passes, and after an end", () => {
    for (const code of ["UNAVAILABLE", "INTERNAL"]) {
      const { seen, refuse } = follow();
      refuse(code);
      expect(seen).toEqual([code, "ended"]);
    }
    const { seen, sink } = follow();
    sink.next({ data: { tmrGroupChanged: { position: "A.1" } } });
    sink.complete();
    expect(seen).toEqual(["value", "ended"]);
  });
});
