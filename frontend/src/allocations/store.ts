import type { AllocationFieldsFragment, AllocationsChangedSubscription } from "../gql/graphql";

export type Allocation = AllocationFieldsFragment;
export type Notice = NonNullable<Allocation["notice"]>;
export type Change = AllocationsChangedSubscription["allocationsChanged"];

/** How long a row that came or went is marked. */
export const NEW_MS = 1_200;
export const GONE_MS = 3_000;

export interface Figures {
  total: number;
  taken: number;
  free: number;
  denials: number;
}

export interface Row {
  allocation: Allocation;
  /** Came in less than NEW_MS ago. */
  fresh: boolean;
  /** Ended less than GONE_MS ago. */
  gone: boolean;
}

export interface Snapshot {
  figures: Figures;
  rows: readonly Row[];
  /** How many live; rows also counts those that just ended. */
  living: number;
}

interface Entry {
  allocation: Allocation;
  freshUntil: number;
  goneUntil: number;
}

/**
 * The living allocations of one container: a snapshot, then numbered changes, each
 * of which tells the number that it follows on. Is that another one, something was
 * missed; then `apply` answers false and the list must be asked for anew.
 */
export class AllocationList {
  readonly #entries = new Map<string, Entry>();
  #sequence: number | null = null;
  #figures: Figures = { total: 0, taken: 0, free: 0, denials: 0 };

  apply(change: Change, now: number): boolean {
    if (change.snapshot) {
      const first = this.#sequence === null;
      const kept = new Set(change.upserted.map((a) => a.id));
      for (const id of this.#entries.keys()) if (!kept.has(id)) this.#end(id, now);
      for (const allocation of change.upserted) this.#put(allocation, now, !first);
    } else {
      if (this.#sequence === null || change.since !== this.#sequence) return false;
      for (const allocation of change.upserted) this.#put(allocation, now, true);
      for (const id of change.removed) this.#end(id, now);
    }
    this.#sequence = change.sequence;
    const { total, taken, free, denials } = change;
    this.#figures = { total, taken, free, denials };
    return true;
  }

  /** Forgets marks that have run out. The time of the next one, or null. */
  sweep(now: number): number | null {
    let next: number | null = null;
    for (const [id, entry] of this.#entries) {
      if (entry.goneUntil !== 0 && entry.goneUntil <= now) {
        this.#entries.delete(id);
        continue;
      }
      for (const until of [entry.goneUntil, entry.freshUntil]) {
        if (until > now && (next === null || until < next)) next = until;
      }
    }
    return next;
  }

  snapshot(now: number): Snapshot {
    const rows: Row[] = [];
    let living = 0;
    for (const entry of this.#entries.values()) {
      const gone = entry.goneUntil !== 0;
      if (!gone) living += 1;
      rows.push({ allocation: entry.allocation, fresh: entry.freshUntil > now, gone });
    }
    return { figures: this.#figures, rows, living };
  }

  #put(allocation: Allocation, now: number, mark: boolean): void {
    const known = this.#entries.get(allocation.id);
    const living = known !== undefined && known.goneUntil === 0;
    this.#entries.set(allocation.id, {
      allocation,
      freshUntil: living ? known.freshUntil : mark ? now + NEW_MS : 0,
      goneUntil: 0,
    });
  }

  #end(id: string, now: number): void {
    const entry = this.#entries.get(id);
    if (entry && entry.goneUntil === 0) entry.goneUntil = now + GONE_MS;
  }
}
