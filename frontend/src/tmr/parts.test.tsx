import { MantineProvider } from "@mantine/core";
import { render, screen, within } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import type { ReactNode } from "react";
import { describe, expect, it, vi } from "vitest";
import { groupSample, rolloutSample } from "../test/samples";
import { Drawing } from "./drawing";
import { Licenses } from "./licenses";
import { Rail } from "./rail";
import { remaining, requestMistake } from "./replace";

const show = (node: ReactNode) => render(<MantineProvider env="test">{node}</MantineProvider>);
const idle = { mayAct: true, busy: false, onRetry: () => {}, onAbort: () => {} };

describe("Drawing", () => {
  it("writes each backend's cell and state as the platform does", () => {
    const group = groupSample();
    const [first, ...others] = group.backends;
    if (!first) throw new Error("the sample has backends");
    const updating = {
      ...first,
      cell: "–",
      tmrId: null,
      inForce: false,
      state: "ACTIVATING" as const,
    };
    show(<Drawing group={{ ...group, backends: [updating, ...others] }} />);
    expect(screen.getByTestId("backend-1-cell").textContent).toBe("–");
    expect(screen.getByTestId("backend-1-state").textContent).toBe("Updating");
    expect(screen.getByTestId("backend-2-cell").textContent).toBe("20/#7");
    expect(screen.getByTestId("backend-2-state").textContent).toBe("Present");
  });
});

describe("Rail", () => {
  it("shows three steps in order of position, one running", () => {
    const rollout = rolloutSample();
    show(<Rail rollout={{ ...rollout, steps: rollout.steps.toReversed() }} {...idle} />);
    const words = screen
      .getAllByRole("listitem")
      .map((li) => within(li).getByRole("heading").textContent);
    expect(words).toEqual(["Backend 1", "Backend 2", "Backend 3"]);
    expect(screen.getAllByText("Running")).toHaveLength(1);
    expect(screen.queryByTestId("retry-rollout")).toBeNull();
    expect(screen.queryByTestId("abort-rollout")).toBeNull();
  });

  it("offers to retry what is held, with the reason and its code", async () => {
    const onRetry = vi.fn();
    const held = rolloutSample({
      state: "HELD",
      blocker: "backend 1 does not answer",
      errorCode: "BACKEND_ABSENT",
    });
    show(<Rail rollout={held} {...idle} onRetry={onRetry} />);
    expect(screen.getByRole("alert")).toHaveTextContent("Backend 1 does not answer BACKEND_ABSENT");
    await userEvent.click(screen.getByTestId("retry-rollout"));
    expect(onRetry).toHaveBeenCalledOnce();
    expect(screen.getByTestId("abort-rollout")).toBeEnabled();
  });

  it("offers nothing to those who may not", () => {
    show(<Rail rollout={rolloutSample({ state: "HELD" })} {...idle} mayAct={false} />);
    expect(screen.queryByRole("button")).toBeNull();
  });
});

describe("Licenses", () => {
  const license = (name: string, status: string, change = {}) => ({
    product: `6000010:${name}`,
    name,
    inForce: true,
    conflict: false,
    status,
    quantity: 20,
    tmrId: 7,
    expiration: null,
    ...change,
  });
  const all = [
    license("one", "1:#7 2:#7 3:#7"),
    license("two", "1:(#8) 2:#7 3:#7"),
    license("three", "1:#7 2:#7 3:#7", { conflict: true }),
  ];

  it("finds those that are not unanimous", () => {
    show(<Licenses licenses={all} onlyNotUnanimous onFilter={() => {}} />);
    expect(screen.getAllByRole("row")).toHaveLength(3);
    expect(screen.queryByText("one")).toBeNull();
    expect(screen.getByText("Terms differ")).toBeVisible();
  });

  it("says how many the filter hides", async () => {
    const onFilter = vi.fn();
    show(<Licenses licenses={all.slice(0, 1)} onlyNotUnanimous onFilter={onFilter} />);
    expect(screen.getByText("The filter hides 1 license.")).toBeVisible();
    await userEvent.click(screen.getByRole("button", { name: "Show all" }));
    expect(onFilter).toHaveBeenCalledWith(false);
  });
});

describe("the request of a new backend", () => {
  const group = groupSample();
  const file = (serials: string[], of: string | null = null) => ({
    text: "",
    kind: "request" as const,
    group: of,
    serials,
  });

  it("names one container that is not in the group, be it the group's own or not", () => {
    expect(requestMistake(file(["130-9"]), group)).toBeNull();
    const whole = file(["130-1", "130-9", "130-3"], group.virtualSerial);
    expect(requestMistake(whole, group)).toBeNull();
  });

  it("is refused with what is wrong with it", () => {
    expect(requestMistake(null, group)).toMatch(/^Hand in/);
    expect(requestMistake(file(["130-9"], "131-1"), group)).toMatch(/^It is of the group 131-1/);
    expect(requestMistake(file(["130-1"]), group)).toMatch(/^It has no container/);
    expect(requestMistake(file(["130-8", "130-9"]), group)).toMatch(/^It has 2 containers/);
  });
});

describe("what carries the licenses without a backend", () => {
  const group = groupSample();
  const third = (state: "ABSENT" | "ACTIVATING") => ({
    linked: true,
    backends: group.backends.map((b) => (b.position === 3 ? { ...b, state } : b)),
  });

  it("is the other two, where both are present", () => {
    expect(remaining(group, "130-1")).toMatch(/^The other two carry the licenses/);
    expect(remaining(third("ABSENT"), "130-3")).toMatch(/^The other two carry the licenses/);
  });

  it("is nothing while one of them is away or installs an update", () => {
    for (const state of ["ABSENT", "ACTIVATING"] as const) {
      expect(remaining(third(state), "130-1")).toMatch(/^Fewer than two others answer/);
    }
  });

  it("is not known of a group that the platform does not hear from", () => {
    expect(remaining({ ...group, linked: false }, "130-1")).toMatch(
      /^The platform does not hear from the group/,
    );
  });
});
