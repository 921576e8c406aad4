import type { RolloutFieldsFragment } from "../gql/graphql";
import type { OfflineFile } from "./file";

/** Where licenses go to by files: exactly one of the two ids is there. */
export type Place =
  | { container: string; tmrGroup?: undefined; serial: string }
  | { tmrGroup: string; container?: undefined; serial: string };

export type Progress = "done" | "now" | "later";

/** Whether the update file was made, and the receipt is what is missing. */
export function waitsForReceipt(rollout: RolloutFieldsFragment): boolean {
  return rollout.offline && rollout.state === "STAGING";
}

/** How far the three steps are; a request that is given while one waits begins anew. */
export function progressOf(waiting: boolean, requested: boolean): [Progress, Progress, Progress] {
  if (!waiting) return ["now", "later", "later"];
  return requested ? ["now", "done", "now"] : ["done", "now", "now"];
}

/** What tells a file of another place, by its headers; null: it is of this one. */
export function foreign(file: OfflineFile, place: Place): string | null {
  if (place.tmrGroup !== undefined) {
    if (file.group === place.serial) return null;
    return file.group
      ? `It is of the group ${file.group}, not of ${place.serial}.`
      : "It is of one container, not of a TMR group.";
  }
  if (file.group) return `It is of the group ${file.group}, not of one container.`;
  return file.serials.includes(place.serial)
    ? null
    : `It is of the container ${file.serials.join(", ") || "without a name"}, not of ${place.serial}.`;
}
