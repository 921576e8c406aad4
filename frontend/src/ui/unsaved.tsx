import { Button } from "@mantine/core";
import { useBlocker } from "@tanstack/react-router";
import { Dialog } from "./dialog";
import styles from "./dialog.module.css";

/** Asks before what was typed is lost, on links and when the window is closed. */
export function UnsavedGuard({ dirty }: { dirty: boolean }) {
  const blocker = useBlocker({
    shouldBlockFn: () => dirty,
    enableBeforeUnload: () => dirty,
    withResolver: true,
  });
  return (
    <Dialog
      opened={blocker.status === "blocked"}
      onClose={() => blocker.reset?.()}
      title="Leave without saving?"
    >
      <div className={styles["body"]}>
        <p>What you have changed here is lost.</p>
        <div className={styles["buttons"]}>
          <Button data-autofocus onClick={() => blocker.reset?.()} data-testid="stay">
            Stay
          </Button>
          <Button variant="default" onClick={() => blocker.proceed?.()} data-testid="leave">
            Leave
          </Button>
        </div>
      </div>
    </Dialog>
  );
}
