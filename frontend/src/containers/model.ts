import type {
  ContainerFieldsFragment,
  ContainerKind,
  ContainerState,
  RolloutFieldsFragment,
  RolloutState,
  TransferFieldsFragment,
  TransferKind,
  TransferState,
} from "../gql/graphql";
import { waitsForReceipt } from "../offline/progress";
import type { Tone } from "../ui/pill";
import { moment } from "../ui/time";

export type Container = ContainerFieldsFragment;
export type Transfer = TransferFieldsFragment;
export type HeldLicense = Container["licenses"][number];

export const KINDS: Record<ContainerKind, string> = {
  DONGLE: "Hardware dongle",
  COMPUTER: "Bound to a computer",
  UNIVERSAL: "Bound to a computer",
  VIRTUAL: "Virtual container",
  CLOUD: "Cloud container",
};

export const STATES: Record<ContainerState, { tone: Tone; text: string }> = {
  UP_TO_DATE: { tone: "ok", text: "Up to date" },
  UPDATE_DUE: { tone: "warning", text: "Update due" },
  AWAITING_RECEIPT: { tone: "waiting", text: "Awaiting receipt" },
  SUSPECTED: { tone: "bad", text: "Manipulation suspected" },
  BLOCKED: { tone: "idle", text: "Blocked" },
};

export const TRANSFER_KINDS: Record<TransferKind, string> = {
  RETURN: "Returned",
  MOVE: "Moved",
  REHOST: "Re-hosted",
  REVOKE: "Revoked",
};

export const TRANSFER_STATES: Record<TransferState, { tone: Tone; text: string }> = {
  REQUESTED: { tone: "waiting", text: "With the next rollout" },
  ISSUED: { tone: "running", text: "In a rollout" },
  CONFIRMED: { tone: "ok", text: "Gone" },
  REFUSED: { tone: "idle", text: "Refused" },
};

/** What a container holds, and what was ordered and is not on it yet, over all products. */
export function totals(container: Pick<Container, "licenses">): {
  held: number;
  waiting: number;
  leaving: number;
} {
  const sum = (of: (license: HeldLicense) => number) =>
    container.licenses.reduce((n, license) => n + of(license), 0);
  return {
    held: sum((l) => l.quantity),
    waiting: sum((l) => l.waiting),
    leaving: sum((l) => l.leaving),
  };
}

/** How many licenses may still be told to leave. */
export function movable(license: Pick<HeldLicense, "quantity" | "leaving">): number {
  return Math.max(0, license.quantity - license.leaving);
}

type Rollout = RolloutFieldsFragment;

const HELD = "A rollout is held: see below what it needs, then retry it.";

const STEPS: Record<ContainerState, (container: Container, rollout: Rollout | null) => string> = {
  UP_TO_DATE: (container) =>
    container.licenses.length === 0
      ? "It is empty: order licenses for it, then bring them onto it by a rollout."
      : "It holds all that was ordered for it. Nothing is to be done.",
  UPDATE_DUE: (container, rollout) => {
    if (rollout) {
      return rollout.state === "HELD"
        ? HELD
        : "A rollout is bringing the update. Nothing is to be done.";
    }
    return container.linked
      ? "An update is due: start a rollout, which goes to its license server over the link."
      : "An update is due: download it, install it with quorate apply, bring the receipt back.";
  },
  AWAITING_RECEIPT: (_, rollout) => {
    if (!rollout) {
      return "An update was issued and is not known to be installed: start a rollout to send it again.";
    }
    if (rollout.state === "HELD") return HELD;
    return waitsForReceipt(rollout)
      ? "An update was handed out: install it with quorate apply, then hand in the receipt."
      : "An update went out over the link and is being installed. Nothing is to be done.";
  },
  SUSPECTED: () =>
    "Its state is not the recorded one. It gets no updates until the vendor accepts the state or blocks it.",
  BLOCKED: (container) =>
    container.replacedBy
      ? `It was replaced by ${container.replacedBy.serial}. It gets no updates, and nothing that it says counts.`
      : "It gets no updates, and nothing that it says counts. Re-host it to bring its licenses onto another container.",
};

/** Its state in a sentence, with what to do next. */
export function nextStep(container: Container, rollout: Rollout | null): string {
  const alarm = container.state === "SUSPECTED" || container.state === "BLOCKED";
  return container.tmrGroup && !alarm
    ? `It belongs to the TMR group ${container.tmrGroup.name}: licenses are ordered and rolled out for the group.`
    : STEPS[container.state](container, rollout);
}

/** Why and when it was blocked. */
export function blockedText(container: Container): string | null {
  if (!container.blockedAt) return null;
  const why = container.blockReason ? `: ${container.blockReason}` : "";
  return `Blocked ${moment(container.blockedAt)}${why}`;
}

const ALONE: Record<RolloutState, string> = {
  QUEUED: "Queued behind another rollout",
  COLLECTING: "Waiting for the license server's fingerprint",
  ISSUING: "Signing and sealing the update",
  STAGING: "Waiting for the license server to take the update",
  GUARDING: "Waiting for the license server to take the update",
  ACTIVATING: "The license server installs the update",
  CONFIRMING: "Verifying that the license server has it",
  DONE: "Done: installed, with a receipt",
  HELD: "Held: the licenses stay as they are",
  ABORTED: "Given up before it was installed",
};

/** What a rollout to one container does now. */
export function rolloutText(rollout: RolloutFieldsFragment): string {
  return waitsForReceipt(rollout)
    ? "Waiting for the receipt of the update file"
    : ALONE[rollout.state];
}

const ROLLOUT_TONES: Partial<Record<RolloutState, Tone>> = {
  QUEUED: "idle",
  DONE: "ok",
  HELD: "warning",
  ABORTED: "idle",
};

export function rolloutTone(rollout: RolloutFieldsFragment): Tone {
  return waitsForReceipt(rollout) ? "waiting" : (ROLLOUT_TONES[rollout.state] ?? "running");
}

/** Containers that match what was typed: a part of the serial, the customer or the group. */
export function filtered(
  containers: readonly Container[],
  { q, state }: { q?: string; state?: ContainerState },
): Container[] {
  const wanted = (q ?? "").trim().toLowerCase();
  return containers.filter((c) => {
    if (state && c.state !== state) return false;
    if (wanted === "") return true;
    return [c.serial, c.customer?.name, c.tmrGroup?.name].some((text) =>
      text?.toLowerCase().includes(wanted),
    );
  });
}

/** Where licenses of a container may go to: one of the same customer that is in use, in no group. */
export function targets(containers: readonly Container[], from: Container): Container[] {
  return containers.filter(
    (c) =>
      c.id !== from.id &&
      !c.tmrGroup &&
      !c.blockedAt &&
      c.kind !== "VIRTUAL" &&
      c.customer?.id === from.customer?.id,
  );
}
