import { type ReactNode, useEffect, useRef, useState } from "react";
import styles from "./scroll.module.css";

/** What may be wider than the page. While it is, the keyboard reaches it, to scroll. */
export function Scroll({ label, children }: { label: string; children: ReactNode }) {
  const box = useRef<HTMLElement>(null);
  const [wide, setWide] = useState(false);
  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const measure = () => setWide(element.scrollWidth > element.clientWidth);
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    for (const child of element.children) observer.observe(child);
    return () => observer.disconnect();
  }, []);
  return (
    <section
      ref={box}
      className={styles["scroll"]}
      {...(wide ? { tabIndex: 0, "aria-label": label } : {})}
    >
      {children}
    </section>
  );
}
