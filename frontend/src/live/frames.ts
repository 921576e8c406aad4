/** Asks for the next moment at which a commit is painted on its own. */
export type NextFrame = (run: () => void) => void;

/**
 * Frames of a visible page; turns of the event loop of a hidden one, for which
 * the browser draws no frames and the queue would grow without end.
 */
export const nextFrame: NextFrame = (run) => {
  if (document.visibilityState === "hidden") {
    const channel = new MessageChannel();
    channel.port1.addEventListener("message", () => {
      channel.port1.close();
      run();
    });
    channel.port1.start();
    channel.port2.postMessage(null);
    return;
  }
  let done = false;
  const once = () => {
    if (done) return;
    done = true;
    document.removeEventListener("visibilitychange", once);
    run();
  };
  requestAnimationFrame(once);
  // A frame that was asked for before the page was hidden may never come.
  document.addEventListener("visibilitychange", once);
};

/**
 * Hands values on one at a time, in order, at most one per frame. Values that
 * come faster wait; none is dropped and no two share a frame, so that each can
 * be committed and seen by itself.
 */
export class FrameQueue<T> {
  readonly #commit: (value: T) => void;
  readonly #next: NextFrame;
  #waiting: T[] = [];
  #asked = false;
  #closed = false;

  constructor(commit: (value: T) => void, next: NextFrame = nextFrame) {
    this.#commit = commit;
    this.#next = next;
  }

  push(value: T): void {
    if (this.#closed) return;
    this.#waiting.push(value);
    this.#ask();
  }

  /** After close nothing is committed any more. */
  close(): void {
    this.#closed = true;
    this.#waiting = [];
  }

  #ask(): void {
    if (this.#asked) return;
    this.#asked = true;
    this.#next(() => {
      this.#asked = false;
      if (this.#closed) return;
      const [value, ...rest] = this.#waiting;
      this.#waiting = rest;
      if (rest.length > 0) this.#ask();
      this.#commit(value as T);
    });
  }
}
