import { type ReactNode, useEffect, useRef, useState } from "react";
import styles from "./scroll.module.css";

/** What may be larger than its place. While it is, the keyboard reaches it, to scroll. */
export function Scroll({
  label,
  tall = false,
  low = false,
  children,
}: {
  label: string;
  /** It may be higher than half of the window, too. */
  tall?: boolean;
  /** It takes but a few lines, whatever is in it. */
  low?: boolean;
  children: ReactNode;
}) {
  const box = useRef<HTMLElement>(null);
  const [large, setLarge] = useState(false);
  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const measure = () =>
      setLarge(
        element.scrollWidth > element.clientWidth || element.scrollHeight > element.clientHeight,
      );
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    for (const child of element.children) observer.observe(child);
    return () => observer.disconnect();
  }, []);
  return (
    <section
      ref={box}
      className={`${styles["scroll"]} ${tall ? styles["tall"] : low ? styles["low"] : ""}`}
      {...(large ? { tabIndex: 0, "aria-label": label } : {})}
    >
      {children}
    </section>
  );
}
