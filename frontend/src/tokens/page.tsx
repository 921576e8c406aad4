import { Button, Checkbox, NativeSelect, Group as Row, TextInput } from "@mantine/core";
import { getRouteApi } from "@tanstack/react-router";
import { useState } from "react";
import { useMutation, useQuery } from "urql";
import { failureOf } from "../api/errors";
import { ApiTokensQuery, CreateApiTokenMutation, RevokeApiTokenMutation } from "../api/tokens";
import { useAct } from "../containers/act";
import { DialogForm } from "../containers/form";
import type { Capability, Role, ApiTokensQuery as Tokens } from "../gql/graphql";
import { Confirm, type Question } from "../organization/confirm";
import styles from "../organization/parts.module.css";
import { Secret } from "../organization/secret";
import { mayManageMembers, NEEDS_ADMINISTRATOR, ROLES, rolesUpTo } from "../shell/roles";
import { Dialog } from "../ui/dialog";
import { Empty, FailureNote } from "../ui/note";
import { useNow } from "../ui/now";
import { Pill } from "../ui/pill";
import { day, moment } from "../ui/time";
import { useTitle } from "../ui/title";
import { Wait } from "../ui/wait";

const route = getRouteApi("/$side/$organization");

type Token = NonNullable<NonNullable<NonNullable<Tokens["apiTokens"]["edges"]>[number]>["node"]>;

export const CAPABILITIES: Partial<Record<Capability, string>> = {
  READ: "Read",
  ORDER: "Order, return and move",
  RUN_ROLLOUTS: "Run rollouts",
  RELEASE: "Release allocations",
  EDIT_RULES: "Edit rules",
  EDIT_CATALOG: "Edit the catalog",
  MANAGE_MEMBERS: "Manage members and tokens",
  READ_AUDIT: "Read the audit log",
  MANAGE_WEBHOOKS: "Manage webhooks",
  PROVISION: "Set up containers and groups",
  MANAGE_KEYS: "Manage the firms' keys",
};

const ENDS: readonly (readonly [string, string])[] = [
  ["30", "In 30 days"],
  ["90", "In 90 days"],
  ["365", "In a year"],
  ["", "Never"],
];

function state(token: Token, now: number): "ended" | "revoked" | "valid" {
  if (token.revokedAt) return "revoked";
  return token.expiresAt && Date.parse(token.expiresAt) <= now ? "ended" : "valid";
}

export function TokenForm({ viewerRole, onDone }: { viewerRole: Role; onDone: () => void }) {
  const [, create] = useMutation(CreateApiTokenMutation);
  const { busy, failure, run } = useAct();
  const [name, setName] = useState("");
  const [as, setAs] = useState<Role>("VIEWER");
  const [limited, setLimited] = useState(false);
  const [scopes, setScopes] = useState<Capability[]>(["READ"]);
  const [ends, setEnds] = useState("90");
  const [tried, setTried] = useState(false);
  const [secret, setSecret] = useState<string | null>(null);
  if (secret !== null) {
    return (
      <div className={styles["section"]}>
        <p role="status">The token {name} is made. Its secret is shown this once.</p>
        {secret === "" ? (
          <p>It was shown before and can't be shown again: revoke the token and make another.</p>
        ) : (
          <Secret value={secret} label="The token's secret" testId="token-secret" />
        )}
        <Row justify="flex-end">
          <Button onClick={onDone}>Close</Button>
        </Row>
      </div>
    );
  }
  const submit = async () => {
    setTried(true);
    if (name.trim() === "") return;
    await run(async (key) => {
      const { data, error } = await create({
        input: {
          name: name.trim(),
          role: as,
          scopes: limited ? scopes : [],
          expiresAt: ends ? new Date(Date.now() + Number(ends) * 86_400_000).toISOString() : null,
          idempotencyKey: key,
        },
      });
      if (data) setSecret(data.createApiToken.secret ?? "");
      return { error };
    });
  };
  return (
    <DialogForm
      failed="The token was not made"
      failure={failure}
      busy={busy}
      submit="Make the token"
      onSubmit={() => void submit()}
      onCancel={onDone}
    >
      <TextInput
        label="What it is for"
        placeholder="erp"
        value={name}
        error={tried && name.trim() === "" ? "Name it." : undefined}
        onChange={(event) => setName(event.currentTarget.value)}
      />
      <NativeSelect
        label="What it may do at most"
        value={as}
        onChange={(event) => setAs(event.currentTarget.value as Role)}
        data={rolesUpTo(viewerRole).map((r) => ({ value: r, label: ROLES[r] }))}
      />
      <Checkbox
        label="Limit it further"
        checked={limited}
        onChange={(event) => setLimited(event.currentTarget.checked)}
      />
      {limited && (
        <fieldset className={styles["scopes"]}>
          <legend>Of its role, only</legend>
          {(Object.keys(CAPABILITIES) as Capability[]).map((c) => (
            <Checkbox
              key={c}
              label={CAPABILITIES[c]}
              checked={scopes.includes(c)}
              disabled={c === "READ"}
              onChange={(event) =>
                setScopes(
                  event.currentTarget.checked ? [...scopes, c] : scopes.filter((s) => s !== c),
                )
              }
            />
          ))}
        </fieldset>
      )}
      <NativeSelect
        label="It ends"
        value={ends}
        onChange={(event) => setEnds(event.currentTarget.value)}
        data={ENDS.map(([value, label]) => ({ value, label }))}
      />
    </DialogForm>
  );
}

function Line({ token, onRevoke }: { token: Token; onRevoke: (() => void) | null }) {
  const now = state(token, useNow());
  return (
    <li className={styles["row"]} data-testid="token">
      <span className={styles["what"]}>
        <b>{token.name}</b>
        <span className="soft">
          {ROLES[token.role]}
          {token.scopes.length > 0 &&
            `: ${token.scopes.map((s) => CAPABILITIES[s] ?? s).join(", ")}`}
        </span>
        <span className="soft">
          {token.hint && <span className="mono">…{token.hint} </span>}
          made {day(token.createdAt)}
          {token.createdBy && ` by ${token.createdBy}`},{" "}
          {token.lastUsedAt ? `last used ${moment(token.lastUsedAt)}` : "never used"}
          {token.expiresAt && now === "valid" && `, ends ${day(token.expiresAt)}`}
        </span>
      </span>
      <span className={styles["acts"]}>
        {now === "valid" && <Pill tone="ok">Valid</Pill>}
        {now === "ended" && <Pill tone="idle">Ended</Pill>}
        {now === "revoked" && <Pill tone="idle">Revoked</Pill>}
        {now === "valid" && onRevoke && (
          <Button variant="default" aria-label={`Revoke ${token.name}`} onClick={onRevoke}>
            Revoke
          </Button>
        )}
      </span>
    </li>
  );
}

export function TokenList({ viewerRole }: { viewerRole: Role }) {
  const [before, setBefore] = useState<string | null>(null);
  const [{ data, error }, refetch] = useQuery({
    query: ApiTokensQuery,
    variables: { before },
    requestPolicy: "cache-and-network",
  });
  const [, revoke] = useMutation(RevokeApiTokenMutation);
  const { busy, failure, run } = useAct();
  const [question, setQuestion] = useState<Question | null>(null);
  const [open, setOpen] = useState(false);
  const again = () => refetch({ requestPolicy: "network-only" });
  const may = mayManageMembers(viewerRole);
  const tokens = (data?.apiTokens.edges ?? [])
    .flatMap((edge) => (edge?.node ? [edge.node] : []))
    .toReversed();
  return (
    <>
      <div className={styles["head"]}>
        <h1>API tokens</h1>
        {may && <Button onClick={() => setOpen(true)}>New token</Button>}
      </div>
      {!may && <p className="soft">{NEEDS_ADMINISTRATOR}</p>}
      {error && (
        <FailureNote
          title="The tokens could not be loaded"
          failure={failureOf(error)}
          onRetry={again}
        />
      )}
      {!data && !error && <Wait heights={[64, 64]} label="Loading the tokens" />}
      {data && tokens.length === 0 && (
        <Empty title="No tokens yet">
          <p className="soft">Programs use a token to call the API for your organization.</p>
        </Empty>
      )}
      <ul className={styles["list"]} aria-label="API tokens">
        {tokens.map((token) => (
          <Line
            key={token.id}
            token={token}
            onRevoke={
              may
                ? () =>
                    setQuestion({
                      title: "Revoke the token?",
                      text: `Programs that use ${token.name} are refused at once.`,
                      act: "Revoke",
                      failed: "The token was not revoked",
                      run: () => run(() => revoke({ input: { apiToken: token.id } })),
                    })
                : null
            }
          />
        ))}
      </ul>
      {data?.apiTokens.pageInfo.hasPreviousPage && (
        <div>
          <Button
            variant="default"
            onClick={() => setBefore(data.apiTokens.pageInfo.startCursor ?? null)}
          >
            Show earlier ones
          </Button>
        </div>
      )}
      <Dialog opened={open} onClose={() => setOpen(false)} title="New API token">
        {open && (
          <TokenForm
            viewerRole={viewerRole}
            onDone={() => {
              setOpen(false);
              again();
            }}
          />
        )}
      </Dialog>
      <Confirm
        question={question}
        busy={busy}
        failure={failure}
        onClose={() => {
          setQuestion(null);
          again();
        }}
      />
    </>
  );
}

export function TokensPage() {
  useTitle("API tokens");
  const { viewer } = route.useRouteContext();
  return (
    <div className={styles["page"]} data-testid="tokens-page">
      <TokenList viewerRole={viewer.role} />
    </div>
  );
}
