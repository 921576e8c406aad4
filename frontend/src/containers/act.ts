import { useState } from "react";
import type { CombinedError } from "urql";
import { type Failure, failureOf } from "../api/errors";
import { newKey } from "../api/key";
import { count } from "../ui/count";

export interface Act {
  busy: boolean;
  failure: Failure | null;
  /** Runs once at a time; true when it was done. */
  run: (send: (key: string) => Promise<{ error?: CombinedError | undefined }>) => Promise<boolean>;
  /** Takes the failure away: something else is being tried. */
  forget: () => void;
}

/**
 * One attempt of a dialog. Its key makes a repeat after a lost answer do nothing
 * twice; an answer ends the attempt, silence does not.
 */
export function useAct(): Act {
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [key, setKey] = useState(newKey);
  return {
    busy,
    failure,
    forget: () => setFailure(null),
    run: async (send) => {
      if (busy) return false;
      setBusy(true);
      setFailure(null);
      const { error } = await send(key);
      const failed = error ? failureOf(error) : null;
      if (failed?.code !== "NETWORK") setKey(newKey());
      setFailure(failed);
      setBusy(false);
      return failed === null;
    },
  };
}

const encoder = new TextEncoder();

/** What is wrong with a reason or a note; null: nothing. */
export function reasonMistake(text: string): string | null {
  return encoder.encode(text).length > 1000 ? "Write at most 1000 bytes." : null;
}

/** What is wrong with a number of licenses; null: nothing. */
export function quantityMistake(text: string, most: number): string | null {
  const n = Number(text);
  return /^\d+$/.test(text.trim()) && n >= 1 && n <= most
    ? null
    : `Enter a whole number, 1 to ${count(most)}.`;
}
