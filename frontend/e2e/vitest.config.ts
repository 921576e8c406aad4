import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    environment: "node",
    root: import.meta.dirname,
    include: ["*.test.ts"],
    testTimeout: 180_000,
    hookTimeout: 60_000,
    // A browser each: more than there are processors would only wait for each other.
    maxWorkers: 2,
    // Node itself loads the mock: transformed, it would get a second copy of graphql.
    server: { deps: { external: [/frontend\/mock\//] } },
  },
});
