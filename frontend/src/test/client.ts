import { type Client, createClient, fetchExchange } from "urql";

export type Answer = { data?: unknown; errors?: unknown[] } | "lost";

export interface Sent {
  variables: { input: Record<string, unknown> };
}

/** A client that gets these answers, one after another, and what it has asked. */
export function stubClient(...answers: Answer[]): { client: Client; sent: Sent[] } {
  const sent: Sent[] = [];
  const ask = (_url: unknown, init?: RequestInit) => {
    if (typeof init?.body === "string") sent.push(JSON.parse(init.body));
    const answer = answers.shift() ?? {};
    if (answer === "lost") return Promise.reject(new TypeError("the network is gone"));
    const headers = { "content-type": "application/json" };
    return Promise.resolve(new Response(JSON.stringify(answer), { headers }));
  };
  const client = createClient({
    url: "http://localhost/graphql",
    preferGetMethod: false,
    exchanges: [fetchExchange],
    fetch: ask,
  });
  return { client, sent };
}
