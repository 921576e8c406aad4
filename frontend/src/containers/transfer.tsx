import { NativeSelect, Textarea, TextInput } from "@mantine/core";
import { useState } from "react";
import { useMutation } from "urql";
import {
  MoveLicensesMutation,
  ReturnLicensesMutation,
  RevokeLicensesMutation,
} from "../api/containers";
import { FailureNote } from "../ui/note";
import { Wait } from "../ui/wait";
import { quantityMistake, reasonMistake, useAct } from "./act";
import { ConfirmSerial, DialogForm } from "./form";
import { type Container, movable, targets } from "./model";
import { useContainers } from "./use-containers";

export type TransferKind = "return" | "move" | "revoke";

export const TRANSFERS: Record<
  TransferKind,
  { title: string; submit: string; failed: string; text: string }
> = {
  return: {
    title: "Return licenses",
    submit: "Return",
    failed: "The licenses were not returned",
    text: "The next rollout takes them off the container. Once it has confirmed that, they can be ordered again without buying.",
  },
  move: {
    title: "Move licenses",
    submit: "Move",
    failed: "The licenses were not moved",
    text: "The next rollout takes them off this container. Once it has confirmed that, they are ordered for the other one.",
  },
  revoke: {
    title: "Revoke licenses",
    submit: "Revoke",
    failed: "The licenses were not revoked",
    text: "The next rollout takes them away for good: nobody can order them again without buying. Programs that hold them get an error.",
  },
};

const LOST = "It may have been done all the same. Repeating it as it is does nothing twice.";

function MoveTarget({
  from,
  value,
  error,
  onChange,
}: {
  from: Container;
  value: string;
  error: string | null;
  onChange: (id: string) => void;
}) {
  const { all: containers, failure, refetch } = useContainers(false);
  if (failure && !containers) {
    return (
      <FailureNote title="The containers could not be loaded" failure={failure} onRetry={refetch} />
    );
  }
  if (!containers) return <Wait heights={[52]} label="Loading the containers" />;
  const choices = targets(containers, from);
  if (choices.length === 0) {
    return (
      <p role="status">
        {from.customer?.name ?? "You"} {from.customer ? "has" : "have"} no other container outside
        of TMR groups: register one first.
      </p>
    );
  }
  return (
    <NativeSelect
      label="Container"
      data={[
        { value: "", label: "Choose a container" },
        ...choices.map((c) => ({ value: c.id, label: c.serial })),
      ]}
      value={value}
      error={error}
      onChange={(event) => onChange(event.currentTarget.value)}
      data-testid="target"
    />
  );
}

export interface TransferFormProps {
  kind: TransferKind;
  container: Container;
  onDone: () => void;
  /** Called after each attempt, for what is known may have changed. */
  onEnd: () => void;
}

export function TransferForm({ kind, container, onDone, onEnd }: TransferFormProps) {
  const [, sendReturn] = useMutation(ReturnLicensesMutation);
  const [, sendRevoke] = useMutation(RevokeLicensesMutation);
  const [, sendMove] = useMutation(MoveLicensesMutation);
  const { busy, failure, run } = useAct();
  const choices = container.licenses.filter((license) => movable(license) > 0);
  const [product, setProduct] = useState(choices[0]?.product.id ?? "");
  const [quantity, setQuantity] = useState("1");
  const [to, setTo] = useState("");
  const [reason, setReason] = useState("");
  const [confirmed, setConfirmed] = useState("");
  const [tried, setTried] = useState(false);

  const chosen = choices.find((license) => license.product.id === product);
  const most = chosen ? movable(chosen) : 0;
  const mistakes = {
    quantity: quantityMistake(quantity, most),
    to: kind === "move" && to === "" ? "Choose where they go." : null,
    reason: reasonMistake(reason),
  };
  const words = TRANSFERS[kind];
  if (choices.length === 0) {
    return (
      <p role="status">
        Nothing is on the container that could leave it: what was ordered has to be rolled out
        first.
      </p>
    );
  }

  const submit = async () => {
    setTried(true);
    if (Object.values(mistakes).some(Boolean)) return;
    const transfer = { container: container.id, product, quantity: Number(quantity), reason };
    const done = await run((idempotencyKey) => {
      const input = { ...transfer, idempotencyKey };
      if (kind === "move") return sendMove({ input: { ...input, to } });
      return kind === "return" ? sendReturn({ input }) : sendRevoke({ input });
    });
    onEnd();
    if (done) onDone();
  };
  return (
    <DialogForm
      failed={words.failed}
      failure={failure}
      lost={LOST}
      busy={busy}
      submit={words.submit}
      danger={kind === "revoke"}
      disabled={kind === "revoke" && confirmed.trim() !== container.serial}
      onSubmit={() => void submit()}
      onCancel={onDone}
    >
      <p>{words.text}</p>
      <NativeSelect
        label="Product"
        data={choices.map((license) => ({
          value: license.product.id,
          label: `${license.product.name} · ${license.product.reference} · ${movable(license)} on it`,
        }))}
        value={product}
        onChange={(event) => setProduct(event.currentTarget.value)}
      />
      <TextInput
        label="Licenses"
        inputMode="numeric"
        autoComplete="off"
        data-autofocus
        value={quantity}
        error={tried ? mistakes.quantity : null}
        onChange={(event) => setQuantity(event.currentTarget.value)}
        data-testid="quantity"
      />
      {kind === "move" && (
        <MoveTarget
          from={container}
          value={to}
          error={tried ? mistakes.to : null}
          onChange={setTo}
        />
      )}
      <Textarea
        label="Reason"
        description="For the audit log and for whom it concerns."
        rows={2}
        value={reason}
        error={mistakes.reason}
        onChange={(event) => setReason(event.currentTarget.value)}
      />
      {kind === "revoke" && (
        <ConfirmSerial serial={container.serial} value={confirmed} onChange={setConfirmed} />
      )}
    </DialogForm>
  );
}
