import type { ReactNode } from "react";
import { ArcIcon, ClockIcon, OctagonIcon, RingIcon, TickIcon, TriangleIcon } from "./icons";
import styles from "./pill.module.css";

/** A state is told by fill, shape, word and colour at once. */
export type Tone = "ok" | "running" | "waiting" | "warning" | "bad" | "idle";

const SHAPES = {
  ok: TickIcon,
  running: ArcIcon,
  waiting: ClockIcon,
  warning: TriangleIcon,
  bad: OctagonIcon,
  idle: RingIcon,
} as const;

export function Pill({
  tone,
  children,
  testId,
}: {
  tone: Tone;
  children: ReactNode;
  testId?: string;
}) {
  const Shape = SHAPES[tone];
  return (
    <span className={`${styles["pill"]} ${styles[tone]}`}>
      <Shape />
      <span data-testid={testId}>{children}</span>
    </span>
  );
}
