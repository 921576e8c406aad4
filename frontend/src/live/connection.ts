/** How the page hears from the platform. */
export type Connection =
  | { state: "connecting" }
  | { state: "live" }
  | { state: "reconnecting"; since: number };

/** The present connection, with a subscription for React. */
export class ConnectionStore {
  #now: Connection = { state: "connecting" };
  readonly #listeners = new Set<() => void>();

  readonly get = (): Connection => this.#now;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  live(): void {
    this.#set({ state: "live" });
  }

  /** The time of the first loss counts, whatever happens until it is live again. */
  lost(now: number): void {
    if (this.#now.state === "live") this.#set({ state: "reconnecting", since: now });
  }

  #set(next: Connection): void {
    this.#now = next;
    for (const listener of this.#listeners) listener();
  }
}
