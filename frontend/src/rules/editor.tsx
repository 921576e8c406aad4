import { useId, useLayoutEffect, useRef } from "react";
import styles from "./rules.module.css";

const LINE = 20;

export interface EditorProps {
  value: string;
  onChange: (text: string) => void;
  /** The line that is wrong, from 1. */
  wrong: number | null;
  /** What is wrong; said below, and to who can't see it. */
  error: string | null;
  /** Where the cursor shall go; a new object each time. */
  goTo: { offset: number } | null;
}

/** A text with numbered lines. */
export function Editor({ value, onChange, wrong, error, goTo }: EditorProps) {
  const id = useId();
  const field = useRef<HTMLTextAreaElement>(null);
  const numbers = useRef<HTMLDivElement>(null);
  const lines = value.split("\n").length;

  useLayoutEffect(() => {
    const element = field.current;
    if (!goTo || !element) return;
    element.focus();
    element.setSelectionRange(goTo.offset, goTo.offset);
  }, [goTo]);

  return (
    <div className={styles["field"]}>
      <label htmlFor={id} className={styles["label"]}>
        Rules, one a line
      </label>
      <div className={styles["editor"]} data-invalid={error !== null}>
        <div className={styles["numbers"]} aria-hidden="true" ref={numbers}>
          {wrong !== null && (
            <span
              className={styles["wrong"]}
              style={{ top: 8 + (wrong - 1) * LINE }}
              data-testid="wrong-line"
            />
          )}
          <pre>{Array.from({ length: lines }, (_, i) => i + 1).join("\n")}</pre>
        </div>
        <textarea
          ref={field}
          id={id}
          rows={Math.min(Math.max(lines + 1, 12), 28)}
          wrap="off"
          spellCheck={false}
          autoCapitalize="off"
          autoComplete="off"
          value={value}
          placeholder={
            "# For example:\nallow group:engineers product:6000010:14\ngroup engineers user:anna user:ben"
          }
          aria-invalid={error !== null}
          aria-describedby={error === null ? undefined : `${id}-error`}
          onChange={(event) => onChange(event.currentTarget.value)}
          onScroll={(event) => {
            if (numbers.current) numbers.current.scrollTop = event.currentTarget.scrollTop;
          }}
          data-testid="rules-text"
        />
      </div>
      {error !== null && (
        <p id={`${id}-error`} className={styles["error"]} role="alert" data-testid="rules-error">
          {error}
        </p>
      )}
    </div>
  );
}
