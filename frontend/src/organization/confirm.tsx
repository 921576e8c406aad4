import { Button, Group } from "@mantine/core";
import type { ReactNode } from "react";
import type { Failure } from "../api/errors";
import { DANGER } from "../ui/danger";
import { Dialog } from "../ui/dialog";
import { useLast } from "../ui/last";
import { FailureNote } from "../ui/note";
import styles from "./parts.module.css";

export interface Question {
  title: string;
  text: ReactNode;
  act: string;
  /** It can be taken back as easily as it is done. */
  harmless?: boolean;
  failed: string;
  run: () => Promise<boolean>;
}

/** Asks before what can't be taken back; the focus is on leaving it. */
export function Confirm({
  question,
  busy,
  failure,
  onClose,
}: {
  question: Question | null;
  busy: boolean;
  failure: Failure | null;
  onClose: () => void;
}) {
  const shown = useLast(question);
  return (
    <Dialog opened={question !== null} onClose={onClose} title={shown?.title ?? ""}>
      <div className={styles["section"]}>
        {failure && <FailureNote title={shown?.failed ?? ""} failure={failure} />}
        <div>{shown?.text}</div>
        <Group justify="flex-end" gap={8}>
          <Button variant="default" onClick={onClose} data-autofocus>
            Keep
          </Button>
          <Button
            {...(shown?.harmless ? {} : DANGER)}
            loading={busy}
            data-testid="confirm"
            onClick={() => {
              void question?.run().then((done) => done && onClose());
            }}
          >
            {shown?.act}
          </Button>
        </Group>
      </div>
    </Dialog>
  );
}
