import { type Client, createClient, fetchExchange } from "urql";

export type Answer = { data?: unknown; errors?: unknown[] } | "lost";

export interface Sent {
  variables: { input: Record<string, unknown> };
}

/** A client that gets these answers, one after another, and what it has asked. */
export function stubClient(...answers: (Answer | Promise<Answer>)[]): {
  client: Client;
  sent: Sent[];
} {
  const sent: Sent[] = [];
  const ask = async (_url: unknown, init?: RequestInit) => {
    if (typeof init?.body === "string") sent.push(JSON.parse(init.body));
    const answer = (await answers.shift()) ?? {};
    if (answer === "lost") throw new TypeError("the network is gone");
    const headers = { "content-type": "application/json" };
    return new Response(JSON.stringify(answer), { headers });
  };
  const client = createClient({
    url: "http://localhost/graphql",
    preferGetMethod: false,
    exchanges: [fetchExchange],
    fetch: ask,
  });
  return { client, sent };
}
