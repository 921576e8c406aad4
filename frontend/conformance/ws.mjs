// Speaks to a server by the reference client of graphql-transport-ws:
// node ws.mjs URL TOKEN SUBSCRIPTION QUERY INVALID. Writes a JSON line for each
// thing that happens: two messages of the subscription, which it ends then, the
// answer to the query, and the errors of the invalid one.
import { createClient } from "graphql-ws";
import { WebSocket } from "ws";

const [url, token, subscription, query, invalid] = process.argv.slice(2);
const say = (what, value) => console.log(JSON.stringify({ what, value }));
const client = createClient({
  url,
  webSocketImpl: WebSocket,
  lazy: false,
  retryAttempts: 0,
  connectionParams: { authorization: `Bearer ${token}` },
  on: {
    connected: () => say("connected"),
    closed: (event) => say("closed", { code: event.code, reason: event.reason }),
  },
  onNonLazyError: () => undefined, // told by "closed"
});

let messages = 0;
for await (const result of client.iterate({ query: subscription })) {
  say("message", result);
  if (++messages === 2) break;
}
for await (const result of client.iterate({ query })) say("answer", result);
try {
  for await (const result of client.iterate({ query: invalid })) say("executed", result);
} catch (errors) {
  say("refused", errors);
}
await client.dispose();
