import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const backend = process.env["QUORATE_BACKEND"] ?? "http://127.0.0.1:4010";

export default defineConfig({
  plugins: [react()],
  html: { cspNonce: "__CSP_NONCE__" },
  build: {
    target: "es2023",
    // An inlined font or script would need data: in the content security policy.
    assetsInlineLimit: 0,
    // dist/.gitkeep is what makes the Go embed build before the first dashboard build.
    emptyOutDir: true,
  },
  server: {
    port: 5173,
    proxy: {
      "/auth": backend,
      "/graphql": { target: backend, ws: true },
    },
  },
  test: {
    environment: "jsdom",
    // A jsdom and its modules for each worker, a fresh global scope for each file.
    pool: "vmThreads",
    include: ["src/**/*.test.{ts,tsx}"],
    setupFiles: ["src/test/setup.ts"],
    css: false,
  },
});
