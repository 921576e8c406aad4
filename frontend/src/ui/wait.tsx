import { Skeleton } from "@mantine/core";
import { useEffect, useState } from "react";

const PATIENCE_MS = 150;

/** Skeletons of the final heights, shown only when an answer takes longer than a blink. */
export function Wait({ heights, label }: { heights: readonly number[]; label: string }) {
  const [shown, setShown] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setShown(true), PATIENCE_MS);
    return () => clearTimeout(timer);
  }, []);
  return (
    <div role="status" aria-label={label} style={{ display: "grid", gap: 16 }}>
      {heights.map((height, i) => (
        <Skeleton
          key={i}
          h={height}
          radius={6}
          visible={shown}
          style={{ opacity: shown ? 1 : 0 }}
        />
      ))}
    </div>
  );
}
