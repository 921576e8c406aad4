import { screen, within } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import { accessible, show } from "../test/page";
import { TokenForm, TokenList } from "./page";

const token = (id: string, change: object = {}) => ({
  node: {
    __typename: "ApiToken",
    id,
    name: id,
    role: "OPERATOR",
    scopes: ["READ", "ORDER"],
    hint: "x9Yz",
    createdBy: "Olga",
    createdAt: "2026-11-01T00:00:00Z",
    expiresAt: null,
    revokedAt: null,
    lastUsedAt: null,
    ...change,
  },
});
const answer = (...edges: object[]) => ({
  data: {
    apiTokens: {
      totalCount: edges.length,
      pageInfo: { __typename: "PageInfo", hasPreviousPage: false, startCursor: null },
      edges,
    },
  },
});

describe("TokenList", () => {
  it("shows what each may do, and revokes one after asking", async () => {
    const all = answer(
      token("erp"),
      token("old", { expiresAt: "2026-01-01T00:00:00Z" }),
      token("lost", { revokedAt: "2026-11-02T00:00:00Z" }),
    );
    const revoked = {
      data: { revokeApiToken: { apiToken: { id: "erp", revokedAt: "2026-11-22" } } },
    };
    const { sent, container } = show(<TokenList viewerRole="OWNER" />, all, revoked, all);
    const lines = await screen.findAllByTestId("token");
    expect(lines.map((l) => /Valid|Ended|Revoked/.exec(l.textContent ?? "")?.[0])).toEqual([
      "Revoked",
      "Ended",
      "Valid",
    ]);
    expect(screen.getAllByText("Operator: Read, Order, return and move")).toHaveLength(3);
    await accessible(container);
    await userEvent.click(screen.getByRole("button", { name: "Revoke erp" }));
    await userEvent.click(within(await screen.findByRole("dialog")).getByTestId("confirm"));
    expect(sent[1]?.variables.input).toEqual({ apiToken: "erp" });
  });

  it("says when there is none, and what a viewer lacks", async () => {
    show(<TokenList viewerRole="VIEWER" />, answer());
    expect(await screen.findByText("No tokens yet")).toBeVisible();
    expect(screen.queryByRole("button", { name: "New token" })).toBeNull();
  });
});

describe("TokenForm", () => {
  it("shows the secret once", async () => {
    const made = {
      createApiToken: { secret: "qrt_secret", apiToken: { id: "tok_1", name: "erp" } },
    };
    const { sent, container } = show(<TokenForm viewerRole="OPERATOR" onDone={() => {}} />, {
      data: made,
    });
    expect(screen.queryByRole("option", { name: "Administrator" })).toBeNull();
    await userEvent.type(screen.getByLabelText("What it is for"), "erp");
    expect(screen.queryByLabelText("Limit it further")).toBeNull();
    await userEvent.selectOptions(screen.getByLabelText("What it may do at most"), "Operator");
    await userEvent.click(screen.getByLabelText("Limit it further"));
    await userEvent.click(screen.getByLabelText("Run rollouts"));
    expect(screen.queryByLabelText("Edit the catalog")).toBeNull();
    await userEvent.selectOptions(screen.getByLabelText("It ends"), "Never");
    await accessible(container);
    await userEvent.click(screen.getByTestId("submit"));
    expect(await screen.findByTestId("token-secret")).toHaveTextContent("qrt_secret");
    expect(sent[0]?.variables.input).toMatchObject({
      name: "erp",
      role: "OPERATOR",
      scopes: ["READ", "RUN_ROLLOUTS"],
      expiresAt: null,
    });
  });
});
