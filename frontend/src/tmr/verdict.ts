import type { TmrHealth } from "../gql/graphql";
import type { Tone } from "../ui/pill";

export const VERDICTS: Record<TmrHealth, { tone: Tone; text: string }> = {
  FULLY_REDUNDANT: { tone: "ok", text: "Fully redundant" },
  NO_SPARE: { tone: "warning", text: "Licenses served, no spare backend" },
  NO_MAJORITY: { tone: "bad", text: "No majority: licenses unavailable" },
  EMPTY: { tone: "idle", text: "Nothing rolled out yet" },
  UNKNOWN: { tone: "idle", text: "Not heard from: last known state" },
};
