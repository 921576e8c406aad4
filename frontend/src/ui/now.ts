import { useSyncExternalStore } from "react";

/** One clock for all components that show an age. */
class Ticker {
  #now = Date.now();
  #timer: ReturnType<typeof setInterval> | undefined;
  readonly #listeners = new Set<() => void>();

  readonly get = (): number => this.#now;

  readonly subscribe = (listener: () => void): (() => void) => {
    if (this.#listeners.size === 0) {
      this.#now = Date.now();
      this.#timer = setInterval(() => {
        this.#now = Date.now();
        for (const l of this.#listeners) l();
      }, 1_000);
    }
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) clearInterval(this.#timer);
    };
  };
}

const ticker = new Ticker();

/** The time, once per second. */
export function useNow(): number {
  return useSyncExternalStore(ticker.subscribe, ticker.get);
}
