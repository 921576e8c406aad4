import { Button } from "@mantine/core";
import { useState } from "react";
import styles from "./parts.module.css";

/** Something that is shown this once, with a button that copies it. */
export function Secret({ value, label, testId }: { value: string; label: string; testId: string }) {
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
      <code className={styles["secret"]} aria-label={label} data-testid={testId}>
        {value}
      </code>
      <div className={styles["acts"]}>
        <Button variant="default" onClick={() => void copy()}>
          Copy
        </Button>
        <span role="status" className="soft">
          {said}
        </span>
      </div>
    </div>
  );
}
