import { Button } from "@mantine/core";
import type { ReactNode } from "react";
import type { Failure } from "../api/errors";
import styles from "./note.module.css";

/** A failure in the place where its result would be, above what is still known. */
export function FailureNote({
  title,
  failure,
  onRetry,
}: {
  title: string;
  failure: Failure;
  onRetry?: (() => void) | undefined;
}) {
  return (
    <div role="alert" className={styles["note"]} data-testid="failure">
      <p className={styles["text"]}>
        <b>{title}</b>
        {failure.message} {failure.fix}{" "}
        <span className="mono soft">
          {failure.code}
          {failure.requestId ? ` · request ${failure.requestId}` : ""}
        </span>
      </p>
      {onRetry && (
        <Button variant="default" onClick={onRetry}>
          Try again
        </Button>
      )}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className={styles["empty"]}>
      <h2>{title}</h2>
      {children}
    </div>
  );
}
