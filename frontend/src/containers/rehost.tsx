import { NativeSelect, Textarea } from "@mantine/core";
import { useState } from "react";
import { useMutation } from "urql";
import { RehostContainerMutation } from "../api/containers";
import { FailureNote } from "../ui/note";
import { Wait } from "../ui/wait";
import { reasonMistake, useAct } from "./act";
import { ConfirmSerial, DialogForm } from "./form";
import { type Container, targets } from "./model";
import { useContainers } from "./use-containers";

/** Brings all licenses of a lost container onto another one. Repeating it gives the same. */
export function RehostForm({
  container,
  onDone,
  onEnd,
}: {
  container: Container;
  onDone: () => void;
  onEnd: () => void;
}) {
  const [, rehost] = useMutation(RehostContainerMutation);
  const { busy, failure, run } = useAct();
  const { all: containers, failure: unloaded, refetch } = useContainers(false);
  const [replacement, setReplacement] = useState("");
  const [reason, setReason] = useState("");
  const [confirmed, setConfirmed] = useState("");
  const [tried, setTried] = useState(false);

  const choices = targets(containers ?? [], container);
  const missing = {
    replacement: replacement === "" ? "Choose the replacement." : null,
    reason: reason.trim() === "" ? "Say what has happened." : reasonMistake(reason),
  };
  const submit = async () => {
    setTried(true);
    if (missing.replacement || missing.reason) return;
    const done = await run((idempotencyKey) =>
      rehost({ input: { container: container.id, replacement, reason, idempotencyKey } }),
    );
    onEnd();
    if (done) onDone();
  };
  return (
    <DialogForm
      failed="The container was not replaced"
      failure={failure}
      lost="It may have been done all the same. Repeating it gives the same."
      busy={busy}
      submit="Re-host"
      danger
      disabled={confirmed.trim() !== container.serial}
      onSubmit={() => void submit()}
      onCancel={onDone}
    >
      <p>
        For a container that is lost or broken. It is blocked at once and for good, and all that it
        was to hold is ordered for its replacement, which gets it by a rollout.
      </p>
      {unloaded && !containers && (
        <FailureNote
          title="The containers could not be loaded"
          failure={unloaded}
          onRetry={refetch}
        />
      )}
      {!containers && !unloaded && <Wait heights={[52]} label="Loading the containers" />}
      {containers && choices.length === 0 && (
        <p role="status">
          There is no container to replace it: register a new one for the same customer first.
        </p>
      )}
      {choices.length > 0 && (
        <NativeSelect
          label="Replacement"
          data={[
            { value: "", label: "Choose a container" },
            ...choices.map((c) => ({ value: c.id, label: c.serial })),
          ]}
          value={replacement}
          error={tried ? missing.replacement : null}
          onChange={(event) => setReplacement(event.currentTarget.value)}
          data-testid="target"
        />
      )}
      <Textarea
        label="What has happened"
        rows={2}
        value={reason}
        error={tried ? missing.reason : reasonMistake(reason)}
        onChange={(event) => setReason(event.currentTarget.value)}
        data-testid="reason"
      />
      <ConfirmSerial serial={container.serial} value={confirmed} onChange={setConfirmed} />
    </DialogForm>
  );
}
