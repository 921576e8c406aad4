import { Radio, Textarea } from "@mantine/core";
import { useState } from "react";
import { useMutation } from "urql";
import { DecideContainerMutation } from "../api/containers";
import { sentence } from "../api/errors";
import type { ContainerDecision } from "../gql/graphql";
import { reasonMistake, useAct } from "./act";
import { ConfirmSerial, DialogForm } from "./form";
import type { Container } from "./model";
import styles from "./page.module.css";

/** The vendor's decision about a container. Repeating it changes nothing. */
export function DecideForm({
  container,
  onDone,
  onEnd,
}: {
  container: Container;
  onDone: () => void;
  onEnd: () => void;
}) {
  const [, decide] = useMutation(DecideContainerMutation);
  const { busy, failure, run } = useAct();
  const suspected = container.manipulationSuspected;
  // A backend of a group is not blocked: the other two carry the licenses.
  const choices: ContainerDecision[] = [
    ...(suspected ? (["ACCEPT"] as const) : []),
    ...(container.tmrGroup ? [] : (["BLOCK"] as const)),
  ];
  const [decision, setDecision] = useState<ContainerDecision | "">(
    choices.length === 1 ? (choices[0] ?? "") : "",
  );
  const [note, setNote] = useState("");
  const [confirmed, setConfirmed] = useState("");
  const [tried, setTried] = useState(false);
  const blocks = decision === "BLOCK";

  const submit = async () => {
    setTried(true);
    if (decision === "" || reasonMistake(note)) return;
    const done = await run(() => decide({ input: { container: container.id, decision, note } }));
    onEnd();
    if (done) onDone();
  };
  return (
    <DialogForm
      failed="The decision was not taken"
      failure={failure}
      busy={busy}
      submit={blocks ? "Block" : decision === "ACCEPT" ? "Accept" : "Decide"}
      danger={blocks}
      disabled={blocks && confirmed.trim() !== container.serial}
      onSubmit={() => void submit()}
      onCancel={onDone}
    >
      {suspected && (
        <p className={styles["suspicion"]} data-testid="suspect-reason">
          <b>Why it is suspected</b> {sentence(container.suspectReason)}
        </p>
      )}
      {choices.length > 1 ? (
        <Radio.Group
          label="What becomes of it"
          value={decision}
          onChange={(value) => setDecision(value)}
          error={tried && decision === "" ? "Choose one." : null}
        >
          <Radio
            mt={8}
            value="ACCEPT"
            label="Accept its state"
            description="For one that was restored from a backup: its state becomes the recorded one, and updates that it misses come again."
          />
          <Radio
            mt={8}
            value="BLOCK"
            label="Block it"
            description="For one that was copied: it gets no updates any more, and nothing that it says counts. This can't be taken back."
          />
        </Radio.Group>
      ) : (
        <p>
          {blocks
            ? "It gets no updates any more, and nothing that it says counts. This can't be taken back; its licenses can be re-hosted."
            : "Its state becomes the recorded one, and updates that it misses come again."}
        </p>
      )}
      <Textarea
        label="Note"
        description="For the audit log and for whom it concerns."
        rows={2}
        value={note}
        error={reasonMistake(note)}
        onChange={(event) => setNote(event.currentTarget.value)}
        data-testid="note"
      />
      {blocks && (
        <ConfirmSerial serial={container.serial} value={confirmed} onChange={setConfirmed} />
      )}
    </DialogForm>
  );
}
