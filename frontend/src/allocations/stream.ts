import { useCallback, useEffect, useState } from "react";
import { AllocationsChanged } from "../api/allocations";
import type { Failure } from "../api/errors";
import { nextFrame } from "../live/frames";
import { useSocket } from "../live/stream";
import { AllocationList, type Snapshot } from "./store";

const AGAIN_MS = 1_000;

export interface AllocationStream {
  snapshot: Snapshot | null;
  failure: Failure | null;
  retry: () => void;
}

/**
 * The live list of a container. Changes go into a Map and reach React at most
 * once per frame, so that thousands of rows cost one render, not one each.
 */
export function useAllocations(container: string): AllocationStream {
  const socket = useSocket();
  const [state, setState] = useState<{ container: string; snapshot: Snapshot } | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [attempt, setAttempt] = useState(0);

  useEffect(() => {
    setFailure(null);
    const list = new AllocationList();
    let stopped = false;
    let asked = false;
    let timer: ReturnType<typeof setTimeout> | undefined;

    const publish = () => {
      asked = false;
      if (stopped) return;
      const now = performance.now();
      const next = list.sweep(now);
      setState({ container, snapshot: list.snapshot(now) });
      clearTimeout(timer);
      if (next !== null) timer = setTimeout(ask, next - now + 1);
    };
    const ask = () => {
      if (asked || stopped) return;
      asked = true;
      nextFrame(publish);
    };
    const again = () => setAttempt((n) => n + 1);
    const stop = socket.subscribe(
      AllocationsChanged,
      { container },
      {
        next: ({ allocationsChanged }) => {
          if (stopped) return;
          if (list.apply(allocationsChanged, performance.now())) ask();
          else again();
        },
        failed: (failed) => {
          if (!stopped) setFailure(failed);
        },
        ended: () => {
          if (!stopped) timer = setTimeout(again, AGAIN_MS);
        },
      },
    );
    return () => {
      stopped = true;
      clearTimeout(timer);
      stop();
    };
  }, [socket, container, attempt]);

  const retry = useCallback(() => setAttempt((n) => n + 1), []);
  return { snapshot: state?.container === container ? state.snapshot : null, failure, retry };
}
