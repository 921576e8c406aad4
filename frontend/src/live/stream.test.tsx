import { act, render, screen, waitFor } from "@testing-library/react";
import type { TypedDocumentNode } from "@urql/core";
import { expect, it } from "vitest";
import { GroupChanged } from "../api/groups";
import type { LiveSocket, Sink } from "./socket";
import { SocketContext, useStream } from "./stream";

class FakeSocket {
  readonly sinks: Sink<unknown>[] = [];
  stopped = 0;

  subscribe(_: TypedDocumentNode, __: Record<string, unknown>, sink: Sink<unknown>): () => void {
    this.sinks.push(sink);
    return () => {
      this.stopped += 1;
      sink.ended();
    };
  }

  get last(): Sink<unknown> {
    const sink = this.sinks.at(-1);
    if (!sink) throw new Error("nobody subscribed");
    return sink;
  }
}

function Probe({ id }: { id: string }) {
  const stream = useStream(GroupChanged, { id });
  const group = stream.value?.tmrGroupChanged.tmrGroup;
  return (
    <>
      <p data-testid="status">{group?.status ?? "waiting"}</p>
      <p data-testid="quantity">{group?.quantity}</p>
      <p data-testid="failure">{stream.failure?.code}</p>
      <button type="button" onClick={stream.retry}>
        retry
      </button>
    </>
  );
}

function show(socket: FakeSocket, id = "tmr_1") {
  return (
    <SocketContext value={socket as unknown as LiveSocket}>
      <Probe id={id} />
    </SocketContext>
  );
}

const STAGES: [string, number][] = [
  ["1:#7 2:#7 3:#7", 20],
  ["1:- 2:#7 3:#7", 20],
  ["1:(#8) 2:#7 3:#7", 20],
  ["1:(#8) 2:- 3:#7", 20],
  ["1:#8 2:#8 3:(#7)", 30],
  ["1:#8 2:#8 3:-", 30],
  ["1:#8 2:#8 3:#8", 30],
];

it("puts every state of a burst on the page, in order and whole", async () => {
  const socket = new FakeSocket();
  render(show(socket));
  const seen: [string | null, number][] = [];
  const observer = new MutationObserver(() => {
    seen.push([
      screen.getByTestId("status").textContent,
      Number(screen.getByTestId("quantity").textContent),
    ]);
  });
  observer.observe(screen.getByTestId("status"), {
    characterData: true,
    childList: true,
    subtree: true,
  });
  for (const [status, quantity] of STAGES) {
    socket.last.next({ tmrGroupChanged: { tmrGroup: { status, quantity } } });
  }
  await waitFor(() => expect(seen).toHaveLength(STAGES.length));
  observer.disconnect();
  expect(seen).toEqual(STAGES);
});

it("shows nothing of the group before when another one is opened", async () => {
  const socket = new FakeSocket();
  const { rerender } = render(show(socket, "tmr_1"));
  const tmrGroup = { status: "1:#7 2:#7 3:#7", quantity: 20 };
  act(() => socket.last.next({ tmrGroupChanged: { tmrGroup } }));
  await screen.findByText("1:#7 2:#7 3:#7");
  rerender(show(socket, "tmr_2"));
  expect(screen.getByTestId("status")).toHaveTextContent("waiting");
  expect(socket.stopped).toBe(1);
});

it("tells of a refusal, and tries again when asked", () => {
  const socket = new FakeSocket();
  render(show(socket));
  act(() => socket.last.failed({ code: "FORBIDDEN", message: "No.", fix: "", requestId: null }));
  expect(screen.getByTestId("failure")).toHaveTextContent("FORBIDDEN");
  act(() => screen.getByRole("button").click());
  expect(screen.getByTestId("failure")).toBeEmptyDOMElement();
  expect(socket.sinks).toHaveLength(2);
});

it("still shows what had arrived when the subscription is started anew", async () => {
  const socket = new FakeSocket();
  render(show(socket));
  const seen: (string | null)[] = [];
  const status = screen.getByTestId("status");
  const observer = new MutationObserver(() => seen.push(status.textContent));
  observer.observe(status, { characterData: true, childList: true, subtree: true });
  for (const [name, quantity] of STAGES) {
    socket.last.next({ tmrGroupChanged: { tmrGroup: { status: name, quantity } } });
  }
  act(() => screen.getByRole("button").click());
  expect(socket.sinks).toHaveLength(2);
  await waitFor(() => expect(seen).toHaveLength(STAGES.length));
  observer.disconnect();
  expect(seen).toEqual(STAGES.map(([name]) => name));
});
