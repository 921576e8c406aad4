import { Button } from "@mantine/core";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { type CombinedError, useMutation } from "urql";
import { type Failure, failureOf } from "../api/errors";
import { newKey } from "../api/key";
import { AbortRolloutMutation, RetryRolloutMutation, StartRolloutMutation } from "../api/rollouts";
import { OfflinePanel } from "../offline/panel";
import { NotFound } from "../shell/fallback";
import { mayOperate, mayProvision, NEEDS_OPERATOR } from "../shell/roles";
import { count, plural } from "../ui/count";
import { Empty, FailureNote } from "../ui/note";
import { Pill } from "../ui/pill";
import { clock } from "../ui/time";
import { useTitle } from "../ui/title";
import { Wait } from "../ui/wait";
import { Drawing } from "./drawing";
import { Licenses } from "./licenses";
import { OrderDialog } from "./order";
import styles from "./page.module.css";
import { Rail } from "./rail";
import { LostNote, ReplaceDialog } from "./replace";
import { ended, type Group, lost, type Plan, planOf, type Rollout } from "./rollout";
import { useGroup } from "./use-group";
import { VERDICTS } from "./verdict";

const route = getRouteApi("/$side/$organization/tmr-groups/$group");

function planText(group: Group, plan: Plan | null, running: Rollout | null): string {
  if (!plan) {
    if (running?.state === "HELD") return "A rollout is held: retry it below.";
    if (running) return "A rollout is running.";
    return lost(group)
      ? "A rollout needs the backends: bring them back first."
      : "All that was ordered is rolled out.";
  }
  const ids =
    plan.fromId === null ? `TMR-ID #${plan.toId}` : `TMR-ID #${plan.fromId} → #${plan.toId}`;
  const quantities = `${count(plan.from)} → ${plural(plan.to, "license")}`;
  return running
    ? `${quantities}, ${ids}, after the running rollout.`
    : `${quantities}, ${ids}, one backend at a time; running programs keep their licenses.`;
}

interface HeaderProps {
  group: Group;
  customer: string | null;
  plan: Plan | null;
  running: Rollout | null;
  mayAct: boolean;
  busy: boolean;
  onOrder: () => void;
  onStart: () => void;
}

function Header({ group, customer, plan, running, mayAct, busy, onOrder, onStart }: HeaderProps) {
  const params = route.useParams();
  return (
    <header className={styles["header"]}>
      <div>
        <h1>{group.name}</h1>
        <p className="soft">
          Virtual container{" "}
          <Link
            to="/$side/$organization/allocations/$container"
            params={{ ...params, container: group.virtualSerial }}
            className={`${styles["serial"]} mono`}
          >
            {group.virtualSerial}
          </Link>
          {" · "}
          <Link
            to="/$side/$organization/rules/$container"
            params={{ ...params, container: group.virtualSerial }}
            className={styles["serial"] ?? ""}
          >
            rules
          </Link>
          {customer && <> · run by {customer}</>}
        </p>
      </div>
      <div className={styles["actions"]}>
        <div className={styles["buttons"]}>
          <Button variant="default" disabled={!mayAct} onClick={onOrder} data-testid="order">
            Order more
          </Button>
          <Button
            disabled={!mayAct || !plan}
            loading={busy}
            onClick={onStart}
            aria-describedby="plan"
            data-testid="start-rollout"
          >
            {running && plan ? "Queue rollout" : "Start rollout"}
          </Button>
        </div>
        <p id="plan" className={`${styles["plan"]} meta soft`} data-testid="plan">
          {mayAct ? planText(group, plan, running) : NEEDS_OPERATOR}
        </p>
      </div>
    </header>
  );
}

function Headline({ group }: { group: Group }) {
  const verdict = VERDICTS[group.health];
  return (
    <div className={styles["headline"]}>
      <Pill tone={verdict.tone} testId="tmr-verdict">
        {verdict.text}
      </Pill>
      <span className={styles["status"]} data-testid="tmr-status">
        {group.status}
      </span>
      <span className={styles["force"]}>
        <b className={styles["quantity"]} data-testid="tmr-quantity">
          {count(group.quantity)}
        </b>{" "}
        {group.quantity === 1 ? "license" : "licenses"}
        <span className="soft">
          {" · "}
          {group.tmrId == null ? "no TMR-ID is in force" : `TMR-ID #${group.tmrId} is in force`}
        </span>
      </span>
    </div>
  );
}

interface Acts {
  busy: boolean;
  failure: { title: string; failure: Failure } | null;
  start: () => Promise<void>;
  retry: (rollout: Rollout) => Promise<void>;
  abort: (rollout: Rollout) => Promise<void>;
}

interface ActResult {
  error: CombinedError | undefined;
  rollout: Rollout | undefined;
}

function useActs(group: string, onRollout: (rollout: Rollout) => void, onEnd: () => void): Acts {
  const [, startRollout] = useMutation(StartRolloutMutation);
  const [, retryRollout] = useMutation(RetryRolloutMutation);
  const [, abortRollout] = useMutation(AbortRolloutMutation);
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<Acts["failure"]>(null);
  const [key, setKey] = useState(newKey);

  const run = async (title: string, act: () => Promise<ActResult>) => {
    setBusy(true);
    setFailure(null);
    const { error, rollout } = await act();
    if (rollout) onRollout(rollout);
    const failed = error ? failureOf(error) : null;
    // An answer ends the attempt that the key stands for; silence does not.
    if (failed?.code !== "NETWORK") setKey(newKey());
    if (failed) setFailure({ title, failure: failed });
    setBusy(false);
    onEnd();
  };

  return {
    busy,
    failure,
    start: () =>
      run("The rollout was not started", async () => {
        const input = { tmrGroup: group, idempotencyKey: key };
        const { data, error } = await startRollout({ input });
        return { error, rollout: data?.startRollout.rollout };
      }),
    retry: ({ id }) =>
      run("The rollout was not resumed", async () => {
        const { data, error } = await retryRollout({ input: { rollout: id } });
        return { error, rollout: data?.retryRollout.rollout };
      }),
    abort: ({ id }) =>
      run("The rollout was not aborted", async () => {
        const { data, error } = await abortRollout({ input: { rollout: id } });
        return { error, rollout: data?.abortRollout.rollout };
      }),
  };
}

export function GroupPage() {
  const { group: id } = route.useParams();
  return <GroupView key={id} id={id} />;
}

function GroupView({ id }: { id: string }) {
  const { viewer } = route.useRouteContext();
  const { side } = route.useParams();
  const { filter } = route.useSearch();
  const navigate = route.useNavigate();
  const { group, customer, ordered, rollout, failure, retry, refetch, report } = useGroup(id);
  const acts = useActs(group?.id ?? id, report, refetch);
  const [ordering, setOrdering] = useState(false);
  const [files, setFiles] = useState<boolean | null>(null);
  // The backend that is asked about; empty: to be chosen.
  const [replacing, setReplacing] = useState<string | null>(null);
  useTitle(group?.name ?? "TMR group");

  if (!group && (failure ? failure.code === "NOT_FOUND" : group === null)) return <NotFound />;
  if (!group) {
    return (
      <div className={styles["page"]}>
        <h1>TMR group</h1>
        {failure ? (
          <FailureNote
            title="The TMR group could not be loaded"
            failure={failure}
            onRetry={retry}
          />
        ) : (
          <Wait heights={[24, 330, 110, 110]} label="Loading the TMR group" />
        )}
      </div>
    );
  }

  const mayAct = mayOperate(viewer.role);
  const mayReplace = side === "v" && viewer.organization.vendor && mayProvision(viewer.role);
  const running = rollout && !ended(rollout) ? rollout : null;
  const plan = planOf(group, ordered, rollout);
  return (
    <div className={styles["page"]} data-testid="tmr-group" data-sequence={group.sequence}>
      <Header
        group={group}
        customer={customer?.name ?? null}
        plan={plan}
        running={running}
        mayAct={mayAct}
        busy={acts.busy && !running}
        onOrder={() => setOrdering(true)}
        onStart={() => void acts.start()}
      />
      {failure && (
        <FailureNote title="What is shown may be out of date" failure={failure} onRetry={retry} />
      )}
      {acts.failure && <FailureNote {...acts.failure} />}
      <Headline group={group} />
      {!group.linked && (
        <p className={styles["unlinked"]} role="status">
          The platform does not hear from this group now.
          {group.viewedAt && <> What is shown is its state at {clock(group.viewedAt)}.</>}
        </p>
      )}
      {mayReplace && <LostNote group={group} onReplace={setReplacing} />}
      <Drawing group={group} />
      {rollout ? (
        <Rail
          rollout={rollout}
          mayAct={mayAct}
          busy={acts.busy}
          onRetry={() => void acts.retry(rollout)}
          onAbort={() => void acts.abort(rollout)}
        />
      ) : (
        <Empty title="No rollout yet">
          <p className="soft">
            {plan
              ? planText(group, plan, null)
              : "Order licenses, then start a rollout: its steps are shown here."}
          </p>
        </Empty>
      )}
      <Licenses
        licenses={group.licenses}
        onlyNotUnanimous={filter === "not-unanimous"}
        onFilter={(only) =>
          void navigate({ search: only ? { filter: "not-unanimous" } : {}, replace: true })
        }
      />
      <OfflinePanel
        place={{ tmrGroup: group.id, serial: group.virtualSerial }}
        opened={files ?? (!group.linked || running?.offline === true)}
        onToggle={setFiles}
        rollout={running}
        mayAct={mayAct}
        onRollout={report}
        onEnd={refetch}
      />
      {mayReplace && (
        <section aria-labelledby="more" className={styles["more"]}>
          <h2 id="more">More</h2>
          <div>
            <Button
              variant="default"
              onClick={() => setReplacing("")}
              data-testid="replace-backend"
            >
              Replace a backend
            </Button>
          </div>
        </section>
      )}
      <ReplaceDialog
        group={group}
        running={running}
        backend={replacing ?? ""}
        opened={replacing !== null}
        onDone={() => setReplacing(null)}
        onReplaced={(started) => {
          if (started) report(started);
          else setFiles(true);
          refetch();
        }}
      />
      <OrderDialog
        target={{
          tmrGroup: group.id,
          name: group.name,
          ordered,
          customer: customer?.id ?? null,
          mayBuy: viewer.organization.vendor,
        }}
        opened={ordering}
        onClose={() => setOrdering(false)}
      />
    </div>
  );
}
