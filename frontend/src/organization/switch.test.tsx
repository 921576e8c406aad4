import { screen, waitFor } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { afterEach, expect, it, vi } from "vitest";
import { accessible, show } from "../test/page";
import { stubRest } from "../test/rest";
import { Choices, OrganizationSwitch, TestBand } from "./switch";

afterEach(() => vi.unstubAllGlobals());

const organizations = [
  { id: "org_1", name: "Acme", environment: "LIVE", role: "OWNER" },
  { id: "org_2", name: "Acme", environment: "TEST", role: "OWNER" },
];

it("acts for another organization, and stays where it is refused", async () => {
  const refused = { status: 404, code: "NOT_FOUND", message: "you can't act for it" };
  const asked = stubRest({
    "/auth/organizations": { organizations },
    "/auth/organization": [refused, {}],
  });
  const chosen = vi.fn();
  const { container } = show(<Choices current="org_1" onChosen={chosen} />);
  const choices = await screen.findAllByTestId("organization-choice");
  expect(choices[0]).toHaveAttribute("aria-current", "true");
  expect(choices[1]).toHaveTextContent("TEST");
  await accessible(container);
  await userEvent.click(choices[1]!);
  expect(await screen.findByTestId("failure")).toHaveTextContent("You can't act for it.");
  expect(chosen).not.toHaveBeenCalled();
  await userEvent.click(choices[1]!);
  await waitFor(() => expect(chosen).toHaveBeenCalledOnce());
  expect(asked.at(-1)?.input).toEqual({ organization: "org_2" });
});

it("says that there is no other", async () => {
  stubRest({ "/auth/organizations": { organizations: organizations.slice(0, 1) } });
  show(<Choices current="org_1" onChosen={() => {}} />);
  expect(await screen.findByText("You belong to no other organization.")).toBeVisible();
});

it("can't be overlooked in a test environment", () => {
  show(
    <>
      <OrganizationSwitch organization={{ id: "org_2", name: "Acme", environment: "TEST" }} />
      <TestBand environment="TEST" />
    </>,
  );
  expect(screen.getByRole("button", { name: /Acme TEST/ })).toBeVisible();
  expect(screen.getByTestId("test-band")).toHaveTextContent("Test environment");
  show(<TestBand environment="LIVE" />);
  expect(screen.getAllByTestId("test-band")).toHaveLength(1);
});
