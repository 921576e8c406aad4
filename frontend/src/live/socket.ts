import { stringifyDocument, type TypedDocumentNode } from "@urql/core";
import { type Client, createClient } from "graphql-ws";
import { type Failure, failureOf } from "../api/errors";
import { signedIn } from "../api/session";
import { ConnectionStore } from "./connection";

const PING_MS = 10_000;
const PONG_MS = 5_000;
const MOST_WAIT_MS = 5_000;

export interface Sink<T> {
  next(data: T): void;
  /** The platform refused the stream, or could not go on with it. */
  failed(failure: Failure): void;
  /** The stream came to its end, and may be asked for again: it was not refused. */
  ended(): void;
}

/** Failures that pass: after any other one the same stream is refused again. */
const PASSING = ["UNAVAILABLE", "INTERNAL"];

/** How long to wait before the n-th attempt to connect again: 0.25 s doubling to 5 s, with jitter. */
export function backoff(attempt: number, random: number): number {
  const most = Math.min(MOST_WAIT_MS, 250 * 2 ** attempt);
  return most / 2 + (most / 2) * random;
}

/** Where a stream is after a message: what its one field tells. */
export function positionOf(data: unknown): string | null {
  for (const field of Object.values((data ?? {}) as Record<string, unknown>)) {
    const position = (field as { position?: unknown } | null)?.position;
    if (typeof position === "string") return position;
  }
  return null;
}

/**
 * The one WebSocket of a signed-in page. It connects again by itself for as long
 * as the session holds, to whichever replica, and each stream goes on after the
 * last message that it brought; where the platform can't say what came after, it
 * begins with the present state.
 */
export class LiveSocket {
  readonly connection = new ConnectionStore();
  readonly #client: Client;
  readonly #onForbidden: () => void;

  constructor(url: string, onSignedOut: () => void, onForbidden: () => void) {
    this.#onForbidden = onForbidden;
    let socket: WebSocket | undefined;
    let pong: ReturnType<typeof setTimeout> | undefined;
    this.#client = createClient({
      url,
      lazy: false,
      keepAlive: PING_MS,
      retryAttempts: Number.POSITIVE_INFINITY,
      shouldRetry: () => true,
      onNonLazyError: async () => {
        this.connection.lost(Date.now());
        if ((await signedIn()) === false) onSignedOut();
      },
      retryWait: async (attempt) => {
        this.connection.lost(Date.now());
        await new Promise((resolve) => setTimeout(resolve, backoff(attempt, Math.random())));
        if ((await signedIn()) === false) onSignedOut();
      },
      on: {
        opened: (opened) => {
          socket = opened as WebSocket;
        },
        connected: () => this.connection.live(),
        closed: () => {
          clearTimeout(pong);
          this.connection.lost(Date.now());
        },
        // A network that swallows packets closes nothing: an unanswered ping does.
        ping: (received) => {
          if (received) return;
          pong = setTimeout(() => socket?.close(4408, "no answer to a ping"), PONG_MS);
        },
        pong: (received) => {
          if (received) clearTimeout(pong);
        },
      },
    });
  }

  subscribe<T, V extends Record<string, unknown>>(
    document: TypedDocumentNode<T, V>,
    variables: V,
    sink: Sink<T>,
  ): () => void {
    // The client sends this again whenever it connects again.
    const request = { query: stringifyDocument(document), variables: { ...variables } };
    let refused = false;
    const failed = (failure: Failure) => {
      refused = !PASSING.includes(failure.code);
      if (failure.code === "FORBIDDEN") this.#onForbidden();
      sink.failed(failure);
    };
    return this.#client.subscribe<T>(request, {
      next: (result) => {
        const after = positionOf(result.data);
        if (after) Object.assign(request.variables, { after });
        if (result.data) sink.next(result.data);
        else failed(failureOf(result.errors));
      },
      error: (error) => failed(failureOf(error)),
      complete: () => {
        if (!refused) sink.ended();
      },
    });
  }

  close(): void {
    void this.#client.dispose();
  }
}

export function socketURL(location: { protocol: string; host: string }): string {
  return `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/graphql`;
}
