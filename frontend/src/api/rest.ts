import { useCallback, useEffect, useState } from "react";
import { type Failure, sentence } from "./errors";

/** What an endpoint under /auth refused. */
export class Refused extends Error {
  constructor(readonly failure: Failure) {
    super(failure.message);
  }
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

async function refusal(response: Response): Promise<Failure> {
  let error: Record<string, unknown> = {};
  try {
    const body = (await response.json()) as { error?: Record<string, unknown> };
    error = body.error ?? {};
  } catch {
    // Not ours, or cut short: the status has to do.
  }
  return {
    code: text(error["code"]) || (response.status === 401 ? "UNAUTHENTICATED" : "INTERNAL"),
    message:
      sentence(text(error["message"])) || `The platform answers with status ${response.status}.`,
    fix: sentence(text(error["fix"])),
    requestId: text(error["requestId"]) || response.headers.get("x-request-id"),
  };
}

/** Asks an endpoint under /auth, as the browser's session. */
export async function rest<T>(path: string, input?: object): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, {
      method: input ? "POST" : "GET",
      credentials: "same-origin",
      headers: { accept: "application/json", "content-type": "application/json" },
      ...(input ? { body: JSON.stringify(input) } : {}),
    });
  } catch {
    throw new Refused({
      code: "NETWORK",
      message: "The platform does not answer.",
      fix: "Try again in a moment.",
      requestId: null,
    });
  }
  if (!response.ok) throw new Refused(await refusal(response));
  return (response.status === 204 ? {} : await response.json()) as T;
}

export function refusedBy(error: unknown): Failure {
  if (error instanceof Refused) return error.failure;
  return {
    code: "INTERNAL",
    message: "The answer can't be read.",
    fix: "Try again.",
    requestId: null,
  };
}

/** What an endpoint says; what was loaded stays while it is loaded again. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the caller knows the endpoint.
export function useRest<T>(path: string): {
  data: T | null;
  failure: Failure | null;
  reload: () => Promise<void>;
} {
  const [data, setData] = useState<T | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  const reload = useCallback(async () => {
    try {
      setData(await rest<T>(path));
      setFailure(null);
    } catch (error) {
      setFailure(refusedBy(error));
    }
  }, [path]);
  useEffect(() => {
    void reload();
  }, [reload]);
  return { data, failure, reload };
}

/** One thing at a time; true when it was done. */
export function useSend() {
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<Failure | null>(null);
  const run = async (send: () => Promise<unknown>): Promise<boolean> => {
    if (busy) return false;
    setBusy(true);
    setFailure(null);
    try {
      await send();
      return true;
    } catch (error) {
      setFailure(refusedBy(error));
      return false;
    } finally {
      setBusy(false);
    }
  };
  return { busy, failure, run };
}
