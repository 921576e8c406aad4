// Writes dist/documents.json: every document that the dashboard may send, by its
// SHA-256, for the platform's --persisted-only dashboard.
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { runnerImport } from "vite";

const { module } = await runnerImport("./src/api/documents.ts", { logLevel: "error" });
const all = Object.fromEntries(
  module.texts().map((text) => [createHash("sha256").update(text).digest("hex"), text]),
);
writeFileSync("dist/documents.json", JSON.stringify(all));
