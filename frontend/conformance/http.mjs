// Runs the audits of GraphQL over HTTP against a server: node http.mjs URL [token].
// Every audit is a line "ok|notice|warn|error id name: reason" (MAY, SHOULD, MUST);
// the exit code tells whether a SHOULD or a MUST failed.
import { auditServer } from "graphql-http";

const [url, token] = process.argv.slice(2);
const results = await auditServer({
  url,
  fetchFn: (target, init) => {
    const headers = new Headers(init?.headers);
    if (token) headers.set("Authorization", `Bearer ${token}`);
    return fetch(target, { ...init, headers });
  },
});
let failed = 0;
for (const r of results) {
  if (r.status === "warn" || r.status === "error") failed++;
  console.log(`${r.status} ${r.id} ${r.name}${r.status === "ok" ? "" : `: ${r.reason}`}`);
}
process.exitCode = failed > 0 ? 1 : 0;
