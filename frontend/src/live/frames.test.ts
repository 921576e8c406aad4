import { afterEach, describe, expect, it, vi } from "vitest";
import { FrameQueue, nextFrame } from "./frames";

function frames() {
  const asked: (() => void)[] = [];
  return { next: (run: () => void) => void asked.push(run), draw: () => asked.shift()?.(), asked };
}

afterEach(() => vi.restoreAllMocks());

describe("FrameQueue", () => {
  it("commits every value of a burst, in order, one per frame", () => {
    const seen: number[] = [];
    const { next, draw, asked } = frames();
    const queue = new FrameQueue<number>((value) => seen.push(value), next);
    for (let i = 1; i <= 7; i += 1) queue.push(i);
    expect(seen).toEqual([]);
    for (let i = 1; i <= 7; i += 1) {
      draw();
      expect(seen).toHaveLength(i);
    }
    expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(asked).toHaveLength(0);
  });

  it("goes on after it ran dry", () => {
    const seen: number[] = [];
    const { next, draw } = frames();
    const queue = new FrameQueue<number>((value) => seen.push(value), next);
    queue.push(1);
    draw();
    queue.push(2);
    draw();
    expect(seen).toEqual([1, 2]);
  });

  it("keeps the order of values that a commit brings", () => {
    const seen: number[] = [];
    const { next, draw } = frames();
    const queue: FrameQueue<number> = new FrameQueue((value) => {
      seen.push(value);
      if (value === 1) queue.push(3);
    }, next);
    queue.push(1);
    queue.push(2);
    draw();
    draw();
    draw();
    expect(seen).toEqual([1, 2, 3]);
  });

  it("loses nothing when a commit throws", () => {
    const seen: number[] = [];
    const { next, draw } = frames();
    const queue = new FrameQueue<number>((value) => {
      if (value === 1) throw new Error("render failed");
      seen.push(value);
    }, next);
    queue.push(1);
    queue.push(2);
    expect(draw).toThrow("render failed");
    draw();
    expect(seen).toEqual([2]);
  });

  it("commits nothing after close", () => {
    const seen: number[] = [];
    const { next, draw } = frames();
    const queue = new FrameQueue<number>((value) => seen.push(value), next);
    queue.push(1);
    queue.close();
    draw();
    queue.push(2);
    draw();
    expect(seen).toEqual([]);
  });
});

describe("nextFrame", () => {
  it("does not wait for frames that a hidden page never draws", async () => {
    vi.spyOn(document, "visibilityState", "get").mockReturnValue("hidden");
    const frame = vi.spyOn(window, "requestAnimationFrame").mockReturnValue(0);
    await new Promise<void>((resolve) => nextFrame(resolve));
    expect(frame).not.toHaveBeenCalled();
  });

  it("runs once when the page is hidden while it waits for a frame", () => {
    let draw: FrameRequestCallback = () => {};
    vi.spyOn(window, "requestAnimationFrame").mockImplementation((run) => {
      draw = run;
      return 1;
    });
    const run = vi.fn();
    nextFrame(run);
    document.dispatchEvent(new Event("visibilitychange"));
    draw(0);
    expect(run).toHaveBeenCalledTimes(1);
  });
});
