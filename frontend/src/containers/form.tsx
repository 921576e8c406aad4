import { Button, Group as Row, TextInput } from "@mantine/core";
import type { FormEvent, ReactNode } from "react";
import type { Failure } from "../api/errors";
import { DANGER } from "../ui/danger";
import { toMistake } from "../ui/mistake";
import { FailureNote } from "../ui/note";
import styles from "./page.module.css";

export interface FormProps {
  children: ReactNode;
  failure: Failure | null;
  failed: string;
  /** Where repeating is not safe: what to look at after an answer was lost. */
  lost?: string | undefined;
  busy: boolean;
  submit: string;
  danger?: boolean;
  disabled?: boolean;
  onSubmit: () => void;
  onCancel: () => void;
}

/** A dialog's fields, what went wrong, and its two buttons. */
export function DialogForm(props: FormProps) {
  const { busy, failure } = props;
  const send = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    if (!busy) props.onSubmit();
    toMistake(event.currentTarget);
  };
  return (
    <form onSubmit={send} noValidate className={styles["form"]}>
      {props.children}
      {failure && <FailureNote title={props.failed} failure={failure} />}
      {failure?.code === "NETWORK" && props.lost && <p role="alert">{props.lost}</p>}
      <Row justify="flex-end" gap={8}>
        <Button variant="default" onClick={props.onCancel} data-testid="cancel">
          Cancel
        </Button>
        <Button
          type="submit"
          loading={busy}
          disabled={props.disabled ?? false}
          {...(props.danger && !props.disabled ? DANGER : {})}
          data-testid="submit"
        >
          {props.submit}
        </Button>
      </Row>
    </form>
  );
}

/** For what can't be taken back: the serial number has to be typed. */
export function ConfirmSerial({
  serial,
  value,
  onChange,
}: {
  serial: string;
  value: string;
  onChange: (text: string) => void;
}) {
  return (
    <TextInput
      label={`Type ${serial} to confirm`}
      autoComplete="off"
      spellCheck={false}
      value={value}
      onChange={(event) => onChange(event.currentTarget.value)}
      data-testid="confirm-serial"
    />
  );
}
