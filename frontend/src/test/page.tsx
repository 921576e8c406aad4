import { MantineProvider } from "@mantine/core";
import { render } from "@testing-library/react";
import axe from "axe-core";
import type { ReactNode } from "react";
import { Provider } from "urql";
import { expect } from "vitest";
import { type Answer, stubClient } from "./client";

/** Shows a part of a page that gets these answers of the API, one after another. */
export function show(part: ReactNode, ...answers: (Answer | Promise<Answer>)[]) {
  const { client, sent } = stubClient(...answers);
  const { container } = render(
    <MantineProvider env="test">
      <Provider value={client}>{part}</Provider>
    </MantineProvider>,
  );
  return { container, sent };
}

/** Fails on what axe finds. Colours need a browser. */
export async function accessible(container: Element): Promise<void> {
  const { violations } = await axe.run(container, {
    rules: { "color-contrast": { enabled: false }, region: { enabled: false } },
  });
  expect(violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join(" ")}`)).toEqual([]);
}
