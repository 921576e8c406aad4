import type { Browser, BrowserContextOptions } from "playwright-core";
import { afterAll, beforeAll } from "vitest";
import { launch, type Mock, mock, type Visit, visit } from "./browser";

let browser: Browser;

/** One browser for all tests of a file. */
export function browserForAll(): void {
  beforeAll(async () => {
    browser = await launch();
  });
  afterAll(() => browser.close());
}

export function visitor(options: BrowserContextOptions = {}): Promise<Visit> {
  return visit(browser, options);
}

/** Runs a test on a mock of its own. Its pages end with it: left open, they would ask for ever. */
export async function withMock(
  options: Parameters<typeof mock>[0],
  run: (running: Mock) => Promise<void>,
): Promise<void> {
  const running = await mock(options);
  try {
    await run(running);
  } finally {
    await Promise.all(browser.contexts().map((context) => context.close()));
    await running.stop();
  }
}
