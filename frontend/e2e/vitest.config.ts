import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    environment: "node",
    root: import.meta.dirname,
    include: ["*.test.ts"],
    testTimeout: 180_000,
    hookTimeout: 60_000,
    fileParallelism: false,
    // Node itself loads the mock: transformed, it would get a second copy of graphql.
    server: { deps: { external: [/frontend\/mock\//] } },
  },
});
