import { Button } from "@mantine/core";
import { type ReactNode, useState } from "react";
import styles from "./parts.module.css";

/** Something to take elsewhere, with a button that copies it. */
export function Secret({
  value,
  label,
  testId,
  focused = false,
  children,
}: {
  value: string;
  label?: string;
  testId?: string;
  /** It takes the place of the form that had the focus. */
  focused?: boolean;
  /** It shown otherwise than as one text. */
  children?: ReactNode;
}) {
  const [said, setSaid] = useState("");
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(value);
      setSaid("Copied.");
    } catch {
      setSaid("Copying is not possible here: select the text.");
    }
  };
  return (
    <div className={styles["section"]}>
      {children ?? (
        <code className={styles["secret"]} aria-label={label} data-testid={testId}>
          {value}
        </code>
      )}
      <div className={styles["acts"]}>
        <Button
          variant="default"
          // oxlint-disable-next-line jsx-a11y/no-autofocus -- else the focus would be lost with the form.
          autoFocus={focused}
          onClick={() => void copy()}
        >
          Copy
        </Button>
        <span role="status" className="soft">
          {said}
        </span>
      </div>
    </div>
  );
}
