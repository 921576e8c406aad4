import { Button } from "@mantine/core";
import { capitalized } from "../api/errors";
import type { RolloutStepState } from "../gql/graphql";
import { plural } from "../ui/count";
import { useNow } from "../ui/now";
import { Pill, type Tone } from "../ui/pill";
import { duration, moment } from "../ui/time";
import styles from "./rail.module.css";
import { abortable, ended, type Rollout, STEP_STATES, stateText } from "./rollout";

type Step = Rollout["steps"][number];

const TONES: Record<RolloutStepState, Tone> = {
  WAITING: "idle",
  RUNNING: "running",
  VERIFYING: "running",
  DONE: "ok",
  FAILED: "bad",
  HELD: "warning",
};

function Took({ step }: { step: Step }) {
  const now = useNow();
  if (!step.startedAt) return null;
  if (step.state !== "DONE" && step.state !== "RUNNING" && step.state !== "VERIFYING") return null;
  const end = step.finishedAt ? Date.parse(step.finishedAt) : now;
  const took = end - Date.parse(step.startedAt);
  return took < 1_000 ? null : <> · {duration(took)}</>;
}

function StepCard({ step }: { step: Step }) {
  const tone = TONES[step.state];
  return (
    <li
      className={`${styles["step"]} ${styles[tone]}`}
      data-testid={`step-${step.position}`}
      data-state={step.state}
    >
      <div className={styles["head"]}>
        <h3>Backend {step.position}</h3>
        <Pill tone={tone}>{STEP_STATES[step.state]}</Pill>
      </div>
      <p className="meta soft">
        {capitalized(step.note || STEP_STATES[step.state])}
        <Took step={step} />
      </p>
    </li>
  );
}

export interface RailProps {
  rollout: Rollout;
  mayAct: boolean;
  busy: boolean;
  onRetry: () => void;
  onAbort: () => void;
}

/** The rollout on the three backends, one after another. */
export function Rail({ rollout, mayAct, busy, onRetry, onAbort }: RailProps) {
  const held = rollout.state === "HELD";
  const steps = rollout.steps.toSorted((a, b) => a.position - b.position);
  return (
    <section
      aria-labelledby="rollout"
      className={styles["rail"]}
      data-testid="rollout"
      data-state={rollout.state}
    >
      <div className={styles["title"]}>
        <div>
          <h2 id="rollout">Rollout to TMR-ID #{rollout.tmrId}</h2>
          <p className="soft" role="status">
            {stateText(rollout)}
            {rollout.state === "DONE" && ` · ${plural(rollout.quantity, "license")}`}
          </p>
        </div>
        {mayAct && (
          <div className={styles["actions"]}>
            {abortable(rollout) && (
              <Button
                variant="default"
                onClick={onAbort}
                disabled={busy}
                data-testid="abort-rollout"
              >
                Abort
              </Button>
            )}
            {held && (
              <Button onClick={onRetry} loading={busy} data-testid="retry-rollout">
                Retry
              </Button>
            )}
          </div>
        )}
      </div>
      {rollout.blocker && !ended(rollout) && (
        <p className={styles["blocker"]} role={held ? "alert" : undefined} data-testid="blocker">
          {capitalized(rollout.blocker)}
          {rollout.errorCode && <span className="mono soft"> {rollout.errorCode}</span>}
        </p>
      )}
      <ol className={styles["steps"]}>
        {steps.map((step) => (
          <StepCard key={step.position} step={step} />
        ))}
      </ol>
      <p className="meta soft">
        Rollout {rollout.number}, started by {rollout.startedBy}, {moment(rollout.createdAt)}
        {rollout.finishedAt && (
          <>
            , took{" "}
            {duration(Math.max(0, Date.parse(rollout.finishedAt) - Date.parse(rollout.createdAt)))}
          </>
        )}
      </p>
    </section>
  );
}
