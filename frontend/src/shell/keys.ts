import { useEffect, useEffectEvent } from "react";

const STORED = "quorate-single-keys";

export function singleKeys(): boolean {
  try {
    return localStorage.getItem(STORED) !== "off";
  } catch {
    return true;
  }
}

export function setSingleKeys(on: boolean): void {
  try {
    if (on) localStorage.removeItem(STORED);
    else localStorage.setItem(STORED, "off");
  } catch {
    // Storage is blocked: the setting lasts as long as the page.
  }
}

/** Whether the keys belong to what has the focus: a field, or a dialog. */
function taken(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable ||
      /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) ||
      target.closest('[role="dialog"]') !== null)
  );
}

const SEQUENCE_MS = 1_200;

/**
 * Single keys (`r`, `/`) and pairs (`g t`). They rest while something is typed,
 * with a modifier held, in a dialog, and when switched off.
 */
export function useKeys(actions: Record<string, (event: KeyboardEvent) => void>): void {
  const actionOf = useEffectEvent((pair: string, key: string) => actions[pair] ?? actions[key]);
  useEffect(() => {
    let first = "";
    let at = 0;
    const onKey = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
      if (taken(event.target) || !singleKeys()) return;
      const pair = event.timeStamp - at < SEQUENCE_MS ? `${first} ${event.key}` : "";
      const action = actionOf(pair, event.key);
      first = event.key;
      at = event.timeStamp;
      if (!action) return;
      // A button or link that has the focus keeps Enter.
      if (event.key === "Enter" && (event.target as HTMLElement).closest("a, button")) return;
      event.preventDefault();
      action(event);
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);
}

export const KEYS: readonly (readonly [string, string])[] = [
  ["/", "Filter"],
  ["j  k", "Next or previous row"],
  ["Enter", "Details of the row"],
  ["r", "Release the row's license"],
  ["p", "Pause or resume the live list"],
  ["g t", "Go to TMR groups"],
  ["g c", "Go to containers"],
  ["g a", "Go to live allocations"],
  ["g r", "Go to rules"],
  ["g i", "Go to items"],
  ["g m", "Go to members"],
  ["Esc", "Close"],
  ["?", "This help"],
];
