import { MantineProvider } from "@mantine/core";
import { render, screen, within } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import { allocationSample } from "../test/samples";
import { Details } from "./details";
import type { Allocation } from "./store";

function show(change: Partial<Allocation>, ended: boolean) {
  render(
    <MantineProvider env="test">
      <Details
        allocation={allocationSample("1", change)}
        ended={ended}
        container="130-1"
        mayRelease
        onClose={() => {}}
        onAsk={() => {}}
        onRelease={() => {}}
      />
    </MantineProvider>,
  );
  const panel = within(screen.getByRole("dialog", { name: "Allocation" }));
  const of = (term: string) => panel.getByText(term).nextSibling?.textContent;
  return { of, release: panel.getByRole("button", { name: "Release…" }) };
}

describe("Details", () => {
  it("tell when a living allocation ends, once that is known", () => {
    expect(show({ expiresAt: null }, false).of("Expires")).toBe("not told yet");
  });

  it.each([
    [{ expiresAt: null, state: "EXPIRED" as const }, false],
    [{}, true],
  ])("say of an ended one that it has ended, and release it no more", (change, ended) => {
    const { of, release } = show(change, ended);
    expect(of("Expires")).toBe("it has ended");
    expect(release).toBeDisabled();
  });
});
