import type { TypedDocumentNode } from "@urql/core";
import { createContext, useCallback, useContext, useEffect, useRef, useState } from "react";
import { flushSync } from "react-dom";
import type { Failure } from "../api/errors";
import { FrameQueue } from "./frames";
import type { LiveSocket } from "./socket";

export const SocketContext = createContext<LiveSocket | null>(null);

export function useSocket(): LiveSocket {
  const socket = useContext(SocketContext);
  if (!socket) throw new Error("no socket around this component");
  return socket;
}

export interface Stream<T> {
  /** The last state that was received; undefined before the first. */
  value: T | undefined;
  failure: Failure | null;
  retry: () => void;
}

const AGAIN_MS = 1_000;

/**
 * Follows a subscription and commits *each* value that it brings to the page, in
 * order, in a frame of its own: what the platform sends in one burst is still
 * seen state by state. Undefined variables: no subscription.
 */
export function useStream<T, V extends Record<string, unknown>>(
  document: TypedDocumentNode<T, V>,
  variables: V | undefined,
  options: { endsByItself?: boolean } = {},
): Stream<T> {
  const socket = useSocket();
  const [value, setValue] = useState<{ key: string | undefined; data: T }>();
  const [failure, setFailure] = useState<Failure | null>(null);
  const [attempt, setAttempt] = useState(0);
  const key = variables && JSON.stringify(variables);
  const endsByItself = options.endsByItself ?? false;

  // The queue outlives a subscription that is started anew: what has arrived is still shown.
  const queue = useRef<FrameQueue<T> | null>(null);
  useEffect(() => {
    const opened = new FrameQueue<T>((data) => flushSync(() => setValue({ key, data })));
    queue.current = opened;
    return () => opened.close();
  }, [socket, document, key]);

  useEffect(() => {
    if (!key) return undefined;
    setFailure(null);
    let again: ReturnType<typeof setTimeout> | undefined;
    let stopped = false;
    const stop = socket.subscribe(document, JSON.parse(key) as V, {
      next: (data) => {
        if (!stopped) queue.current?.push(data);
      },
      failed: (failed) => {
        if (!stopped) setFailure(failed);
      },
      ended: () => {
        // Stopping a stream ends it too.
        if (!endsByItself && !stopped) again = setTimeout(() => setAttempt((n) => n + 1), AGAIN_MS);
      },
    });
    return () => {
      stopped = true;
      clearTimeout(again);
      stop();
    };
  }, [socket, document, key, attempt, endsByItself]);

  const retry = useCallback(() => setAttempt((n) => n + 1), []);
  // The last value of another subject is not this one's.
  return { value: value?.key === key ? value?.data : undefined, failure, retry };
}
