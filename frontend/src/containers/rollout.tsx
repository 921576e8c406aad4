import { Button, Radio, Stack } from "@mantine/core";
import { useState } from "react";
import { useMutation } from "urql";
import { capitalized, type Failure, failureOf } from "../api/errors";
import { AbortRolloutMutation, RetryRolloutMutation, StartRolloutMutation } from "../api/rollouts";
import type { RolloutFieldsFragment } from "../gql/graphql";
import { abortable, ended } from "../tmr/rollout";
import { plural } from "../ui/count";
import { FailureNote } from "../ui/note";
import { Pill } from "../ui/pill";
import { duration, moment } from "../ui/time";
import { useAct } from "./act";
import { DialogForm } from "./form";
import { type Container, rolloutText, rolloutTone } from "./model";
import styles from "./page.module.css";

/** Which way an update goes: over the link, or by files. */
export function StartForm({
  container,
  onDone,
  onFiles,
  onRollout,
}: {
  container: Container;
  onDone: () => void;
  onFiles: () => void;
  onRollout: (rollout: RolloutFieldsFragment) => void;
}) {
  const [, start] = useMutation(StartRolloutMutation);
  const { busy, failure, run } = useAct();
  const [way, setWay] = useState(container.linked ? "link" : "files");

  const submit = async () => {
    if (way === "files") return onFiles();
    const done = await run(async (idempotencyKey) => {
      const { data, error } = await start({ input: { container: container.id, idempotencyKey } });
      if (data) onRollout(data.startRollout.rollout);
      return { error };
    });
    if (done) onDone();
  };
  return (
    <DialogForm
      failed="The rollout was not started"
      failure={failure}
      busy={busy}
      submit={way === "files" ? "Go on" : "Start rollout"}
      onSubmit={() => void submit()}
      onCancel={onDone}
    >
      <Radio.Group label="How the update gets there" value={way} onChange={setWay}>
        <Stack gap={8} mt={8}>
          <Radio
            value="link"
            label="Over the link"
            description={
              container.linked
                ? "Its license server takes and installs it."
                : "Its license server is not heard from now: the rollout waits until it is, and rollouts by files wait with it."
            }
          />
          <Radio
            value="files"
            label="By files"
            description="For a license server without a network: a request comes in, an update goes out, a receipt comes back."
          />
        </Stack>
      </Radio.Group>
    </DialogForm>
  );
}

/** The newest rollout of a container, with what can be done about it. */
export function RolloutCard({
  rollout,
  mayAct,
  onRollout,
  onEnd,
}: {
  rollout: RolloutFieldsFragment;
  mayAct: boolean;
  onRollout: (rollout: RolloutFieldsFragment) => void;
  onEnd: () => void;
}) {
  const [, retryRollout] = useMutation(RetryRolloutMutation);
  const [, abortRollout] = useMutation(AbortRolloutMutation);
  const [busy, setBusy] = useState<"retry" | "abort" | null>(null);
  const [told, setTold] = useState<{ title: string; failure: Failure } | null>(null);
  const step = rollout.steps[0];

  const act = async (what: "retry" | "abort") => {
    setBusy(what);
    setTold(null);
    const input = { rollout: rollout.id };
    if (what === "retry") {
      const { data, error } = await retryRollout({ input });
      if (data) onRollout(data.retryRollout.rollout);
      else setTold({ title: "The rollout was not resumed", failure: failureOf(error) });
    } else {
      const { data, error } = await abortRollout({ input });
      if (data) onRollout(data.abortRollout.rollout);
      else setTold({ title: "The rollout was not given up", failure: failureOf(error) });
    }
    setBusy(null);
    onEnd();
  };
  return (
    <div className={styles["rollout"]} data-testid="rollout" data-state={rollout.state}>
      <div className={styles["rolloutHead"]}>
        <div>
          <h3>Rollout {rollout.number}</h3>
          <p className="soft meta">
            {rollout.offline ? "By files" : "Over the link"}, started by {rollout.startedBy},{" "}
            {moment(rollout.createdAt)}
            {rollout.finishedAt && (
              <>
                , took{" "}
                {duration(
                  Math.max(0, Date.parse(rollout.finishedAt) - Date.parse(rollout.createdAt)),
                )}
              </>
            )}
          </p>
        </div>
        <span role="status">
          <Pill tone={rolloutTone(rollout)}>{rolloutText(rollout)}</Pill>
        </span>
        {mayAct && !ended(rollout) && (
          <div className={styles["buttons"]}>
            {abortable(rollout) && (
              <Button
                variant="default"
                disabled={busy === "retry"}
                loading={busy === "abort"}
                onClick={() => void act("abort")}
                data-testid="abort-rollout"
              >
                Abort
              </Button>
            )}
            {rollout.state === "HELD" && (
              <Button
                disabled={busy === "abort"}
                loading={busy === "retry"}
                onClick={() => void act("retry")}
                data-testid="retry-rollout"
              >
                Retry
              </Button>
            )}
          </div>
        )}
      </div>
      {told && <FailureNote {...told} />}
      {rollout.blocker && !ended(rollout) && (
        <p className={styles["blocker"]} role={rollout.state === "HELD" ? "alert" : undefined}>
          {capitalized(rollout.blocker)}
          {rollout.errorCode && <span className="mono soft"> {rollout.errorCode}</span>}
        </p>
      )}
      {step?.note && !ended(rollout) && !rollout.blocker && (
        <p className="soft">{capitalized(step.note)}</p>
      )}
    </div>
  );
}

/** Rollouts before the newest one, shortly. */
export function EarlierRollouts({
  rollouts,
  total,
}: {
  rollouts: readonly RolloutFieldsFragment[];
  total: number;
}) {
  if (rollouts.length === 0) return null;
  const more = total - rollouts.length - 1;
  return (
    <details className={styles["earlier"]}>
      <summary>{plural(total - 1, "earlier rollout")}</summary>
      <ul>
        {rollouts.map((rollout) => (
          <li key={rollout.id}>
            Rollout {rollout.number}, {moment(rollout.createdAt)}, {rollout.startedBy}:{" "}
            {rolloutText(rollout)}
          </li>
        ))}
        {more > 0 && <li className="soft">{more} more are in the API.</li>}
      </ul>
    </details>
  );
}
