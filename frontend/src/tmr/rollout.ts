import type {
  GroupFieldsFragment,
  RolloutFieldsFragment,
  RolloutState,
  RolloutStepState,
} from "../gql/graphql";

export type Group = GroupFieldsFragment;
export type Rollout = RolloutFieldsFragment;

const ENDED: ReadonlySet<RolloutState> = new Set<RolloutState>(["DONE", "ABORTED"]);

export function ended(rollout: Rollout): boolean {
  return ENDED.has(rollout.state);
}

/** What a rollout does now, in words. */
export const ROLLOUT_STATES: Record<RolloutState, string> = {
  QUEUED: "Queued behind another rollout",
  COLLECTING: "Collecting the fingerprints of the three backends",
  ISSUING: "Signing and sealing the three updates",
  STAGING: "Staging the updates on all three backends",
  GUARDING: "Checking that the other two backends carry the license",
  ACTIVATING: "Activating the update",
  CONFIRMING: "Verifying that the backend serves the new license",
  DONE: "Done: all three backends have it, with receipts",
  HELD: "Held: licenses stay usable",
  ABORTED: "Aborted before the first activation",
};

export const STEP_STATES: Record<RolloutStepState, string> = {
  WAITING: "Waiting",
  RUNNING: "Running",
  VERIFYING: "Verifying",
  DONE: "Done",
  FAILED: "Failed",
  HELD: "Held",
};

/** What a rollout does now; one by files waits for people, not for backends. */
export function stateText(rollout: Rollout): string {
  return rollout.offline && rollout.state === "STAGING"
    ? "Waiting for the receipts of the update file"
    : ROLLOUT_STATES[rollout.state];
}

/** Of several reports on rollouts of one group, the latest of the newest rollout. */
export function latest(reports: readonly (Rollout | null | undefined)[]): Rollout | null {
  let best: Rollout | null = null;
  for (const report of reports) {
    if (!report) continue;
    if (
      !best ||
      report.number > best.number ||
      (report.number === best.number && report.sequence > best.sequence)
    ) {
      best = report;
    }
  }
  return best;
}

const BEFORE_ACTIVATION: ReadonlySet<RolloutState> = new Set<RolloutState>([
  "QUEUED",
  "COLLECTING",
  "ISSUING",
  "STAGING",
]);

/** Whether it can still be given up: only before the first activation. */
export function abortable(rollout: Rollout): boolean {
  // The file may be installed at any time.
  if (rollout.offline && rollout.state === "STAGING") return false;
  if (BEFORE_ACTIVATION.has(rollout.state)) return true;
  const untouched = rollout.steps.every((s) => s.state !== "DONE" && s.state !== "VERIFYING");
  return (rollout.state === "GUARDING" || rollout.state === "HELD") && untouched;
}

/** What starting a rollout would bring. */
export interface Plan {
  from: number;
  to: number;
  fromId: number | null;
  toId: number;
}

/** Whether so few backends are there that what is in force can't be told. */
export function lost(group: Group): boolean {
  const absent = group.backends.filter((backend) => backend.state === "ABSENT");
  return group.tmrId == null && absent.length > 1;
}

/**
 * The next rollout of a group, or null when nothing is ordered that is not rolled out,
 * or when the backends that it needs are gone.
 */
export function planOf(group: Group, ordered: number, last: Rollout | null): Plan | null {
  const running = last && !ended(last) ? last : null;
  if (!running && lost(group)) return null;
  const from = running ? running.quantity : group.quantity;
  if (ordered === from) return null;
  const ids = [group.tmrId, last?.tmrId, ...group.backends.map((b) => b.tmrId)];
  const highest = Math.max(0, ...ids.filter((id): id is number => typeof id === "number"));
  return {
    from,
    to: ordered,
    fromId: running ? running.tmrId : group.tmrId,
    toId: highest + 1,
  };
}

/** Whether all three backends hold the same license, which is in force. */
export function unanimous(status: string): boolean {
  const ids = status.split(/\s+/).map((part) => part.replace(/^\d+:/, ""));
  return ids.length === 3 && ids.every((id) => id === ids[0] && /^#\d+$/.test(id));
}
