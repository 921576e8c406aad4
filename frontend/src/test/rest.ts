import { vi } from "vitest";

/** A request to an endpoint under /auth. */
export interface Asked {
  path: string;
  input: Record<string, unknown> | null;
}

type Reply = object | { status: number; code: string; message: string };

/** Answers of the endpoints by path, and what they were asked; a status makes a refusal. */
export function stubRest(answers: Record<string, Reply | Reply[]>): Asked[] {
  const asked: Asked[] = [];
  vi.stubGlobal("fetch", async (path: string, init?: RequestInit) => {
    const input = typeof init?.body === "string" ? JSON.parse(init.body) : null;
    asked.push({ path, input });
    const found = answers[path];
    const answer = (Array.isArray(found) ? found.shift() : found) ?? {};
    const headers = { "content-type": "application/json" };
    if ("status" in answer) {
      const { status, ...error } = answer as { status: number };
      return new Response(JSON.stringify({ error }), { status, headers });
    }
    return new Response(JSON.stringify(answer), { status: 200, headers });
  });
  return asked;
}
