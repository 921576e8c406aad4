import { Button, Checkbox, NativeSelect, Group as Row, TextInput } from "@mantine/core";
import { getRouteApi } from "@tanstack/react-router";
import { useState } from "react";
import { useMutation } from "urql";
import { failureOf } from "../api/errors";
import { useKept } from "../api/kept";
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

/** Capabilities in words, and the least role that has each. */
const CAPABILITIES: Partial<Record<Capability, readonly [what: string, least: Role]>> = {
  READ: ["Read", "VIEWER"],
  ORDER: ["Order, return and move", "OPERATOR"],
  RUN_ROLLOUTS: ["Run rollouts", "OPERATOR"],
  RELEASE: ["Release allocations", "OPERATOR"],
  EDIT_RULES: ["Edit rules", "OPERATOR"],
  EDIT_CATALOG: ["Edit the catalog", "ADMINISTRATOR"],
  MANAGE_MEMBERS: ["Manage members and tokens", "ADMINISTRATOR"],
  READ_AUDIT: ["Read the audit log", "ADMINISTRATOR"],
  MANAGE_WEBHOOKS: ["Manage webhooks", "ADMINISTRATOR"],
  PROVISION: ["Set up containers and groups", "ADMINISTRATOR"],
  MANAGE_KEYS: ["Manage the firms’ keys", "OWNER"],
};

/** What a role may do: a token with other scopes could do nothing with them. */
function capabilitiesOf(role: Role): (readonly [Capability, string])[] {
  const below = rolesUpTo(role);
  return Object.entries(CAPABILITIES).flatMap(([capability, [what, least]]) =>
    below.includes(least) ? [[capability as Capability, what] as const] : [],
  );
}

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
  const offered = capabilitiesOf(as);
  if (secret !== null) {
    return (
      <div className={styles["section"]}>
        <p role="status">
          The token {name.trim()} is made. Keep its secret now: it is shown this once.
        </p>
        {secret === "" ? (
          <p>It was shown before and can't be shown again: revoke the token and make another.</p>
        ) : (
          <Secret value={secret} label="The token's secret" testId="token-secret" focused />
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
          scopes: limited ? scopes.filter((s) => offered.some(([c]) => c === s)) : [],
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
        description="For example erp"
        value={name}
        error={tried && name.trim() === "" ? "Enter a name." : undefined}
        onChange={(event) => setName(event.currentTarget.value)}
      />
      <NativeSelect
        label="What it may do at most"
        value={as}
        onChange={(event) => setAs(event.currentTarget.value as Role)}
        data={rolesUpTo(viewerRole).map((r) => ({ value: r, label: ROLES[r] }))}
      />
      {offered.length > 1 && (
        <Checkbox
          label="Limit it further"
          checked={limited}
          onChange={(event) => setLimited(event.currentTarget.checked)}
        />
      )}
      {offered.length > 1 && limited && (
        <fieldset className={styles["scopes"]}>
          <legend>Of its role, only</legend>
          {offered.map(([c, what]) => (
            <Checkbox
              key={c}
              label={what}
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
            `: ${token.scopes.map((s) => CAPABILITIES[s]?.[0] ?? s).join(", ")}`}
        </span>
        <span className="soft">
          {token.hint && <span className="mono">…{token.hint}</span>} made {day(token.createdAt)}
          {token.createdBy && ` by ${token.createdBy}`},{" "}
          {token.lastUsedAt ? `last used ${moment(token.lastUsedAt)}` : "never used"}
          {now === "valid" &&
            (token.expiresAt ? `, ends ${day(token.expiresAt)}` : ", does not end")}
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
  const [{ data, error }, refetch] = useKept({
    query: ApiTokensQuery,
    variables: { before },
    requestPolicy: "cache-and-network",
  });
  const [, revoke] = useMutation(RevokeApiTokenMutation);
  const { busy, failure, run, forget } = useAct();
  const [question, setQuestion] = useState<Question | null>(null);
  const [open, setOpen] = useState(false);
  const again = () => refetch({ requestPolicy: "network-only" });
  const close = () => {
    setOpen(false);
    again();
  };
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
          title={data ? "What is shown may be out of date" : "The tokens could not be loaded"}
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
                ? () => {
                    forget();
                    setQuestion({
                      title: `Revoke ${token.name}?`,
                      text: `Programs that use ${token.name} are refused at once, for good.`,
                      act: "Revoke",
                      failed: "The token was not revoked",
                      run: () => run(() => revoke({ input: { apiToken: token.id } })),
                    });
                  }
                : null
            }
          />
        ))}
      </ul>
      <div className={styles["acts"]}>
        {before && (
          <Button variant="default" onClick={() => setBefore(null)}>
            Back to the newest
          </Button>
        )}
        {data?.apiTokens.pageInfo.hasPreviousPage && (
          <Button
            variant="default"
            onClick={() => setBefore(data.apiTokens.pageInfo.startCursor ?? null)}
          >
            Show earlier ones
          </Button>
        )}
      </div>
      <Dialog opened={open} onClose={close} title="New API token" held>
        {open && <TokenForm viewerRole={viewerRole} onDone={close} />}
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
