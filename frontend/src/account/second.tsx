import { Button, TextInput } from "@mantine/core";
import { type FormEvent, useState } from "react";
import { rest, useSend } from "../api/rest";
import styles from "../organization/parts.module.css";
import { Secret } from "../organization/secret";
import { DANGER } from "../ui/danger";
import { FailureNote } from "../ui/note";
import { PasswordField } from "../ui/password";
import { Pill } from "../ui/pill";
import type { Account } from "./page";

interface Enrolment {
  secret: string;
  uri: string;
  qr: string;
}

function on(submit: () => void) {
  return (event: FormEvent) => {
    event.preventDefault();
    submit();
  };
}

/** Recovery codes, shown this once. */
function Recovery({ codes, onDone }: { codes: string[]; onDone: () => void }) {
  return (
    <div className={styles["section"]}>
      <p role="status">
        The second factor is on. Keep these recovery codes apart from your authenticator: each signs
        you in once without it, and they are shown this once.
      </p>
      <Secret value={codes.join("\n")} focused>
        <ul className={styles["codes"]} aria-label="Recovery codes" data-testid="recovery-codes">
          {codes.map((code) => (
            <li key={code}>{code}</li>
          ))}
        </ul>
      </Secret>
      <div>
        <Button onClick={onDone}>I have kept them</Button>
      </div>
    </div>
  );
}

interface Step {
  onDone: () => void;
  onCancel: () => void;
}

function Enrol({ onDone, onCancel }: Step) {
  const [password, setPassword] = useState("");
  const [made, setMade] = useState<Enrolment | null>(null);
  const [code, setCode] = useState("");
  const [recovery, setRecovery] = useState<string[] | null>(null);
  const { busy, failure, run } = useSend();
  if (recovery) return <Recovery codes={recovery} onDone={onDone} />;
  if (!made) {
    return (
      <form
        className={styles["form"]}
        noValidate
        onSubmit={on(
          () =>
            void run(async () =>
              setMade(await rest<Enrolment>("/auth/second/begin", { password })),
            ),
        )}
      >
        <p className="soft">
          Signing in then takes a code of your authenticator, besides the password.
        </p>
        {failure && <FailureNote title="Nothing was set up" failure={failure} />}
        <PasswordField
          label="Your password"
          autoComplete="current-password"
          focused
          value={password}
          shows="your password"
          onChange={setPassword}
        />
        <div className={styles["acts"]}>
          <Button type="submit" loading={busy} disabled={password === ""}>
            Set up
          </Button>
          <Button variant="default" onClick={onCancel}>
            Cancel
          </Button>
        </div>
      </form>
    );
  }
  return (
    <form
      className={styles["form"]}
      noValidate
      onSubmit={on(
        () =>
          void run(async () => {
            const done = await rest<{ recoveryCodes: string[] }>("/auth/second/confirm", { code });
            setRecovery(done.recoveryCodes);
          }),
      )}
    >
      <p>Scan this with your authenticator, or type the secret into it.</p>
      <img
        src={made.qr}
        width={200}
        height={200}
        alt="The secret as a QR code"
        className={styles["qr"]}
      />
      <Secret value={made.secret} label="The secret as text" testId="totp-secret" />
      {failure && <FailureNote title="The second factor is not on yet" failure={failure} />}
      <TextInput
        label="The code that it shows"
        autoComplete="one-time-code"
        inputMode="numeric"
        // oxlint-disable-next-line jsx-a11y/no-autofocus -- else the focus would be lost with the form before.
        autoFocus
        value={code}
        onChange={(event) => setCode(event.currentTarget.value)}
      />
      <div className={styles["acts"]}>
        <Button type="submit" loading={busy} disabled={code.trim() === ""}>
          Switch on
        </Button>
        <Button variant="default" onClick={onCancel}>
          Cancel
        </Button>
      </div>
    </form>
  );
}

function Disable({ onDone, onCancel }: Step) {
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const { busy, failure, run } = useSend();
  return (
    <form
      className={styles["form"]}
      noValidate
      onSubmit={on(
        () =>
          void run(() => rest("/auth/second/end", { password, code })).then(
            (done) => done && onDone(),
          ),
      )}
    >
      {failure && <FailureNote title="The second factor stays on" failure={failure} />}
      <PasswordField
        label="Your password"
        autoComplete="current-password"
        focused
        value={password}
        shows="your password"
        onChange={setPassword}
      />
      <TextInput
        label="Code"
        description="From your authenticator, or a recovery code"
        autoComplete="one-time-code"
        value={code}
        onChange={(event) => setCode(event.currentTarget.value)}
      />
      <div className={styles["acts"]}>
        <Button
          type="submit"
          {...(password === "" || code.trim() === "" ? { disabled: true } : DANGER)}
          loading={busy}
        >
          Switch off
        </Button>
        <Button variant="default" onClick={onCancel}>
          Cancel
        </Button>
      </div>
    </form>
  );
}

export function SecondFactor({ account, onChanged }: { account: Account; onChanged: () => void }) {
  /** Null: not opened yet. */
  const [open, setOpen] = useState<boolean | null>(null);
  const cancel = () => setOpen(false);
  const done = () => {
    cancel();
    onChanged();
  };
  if (open && account.secondFactor) return <Disable onDone={done} onCancel={cancel} />;
  if (open) return <Enrol onDone={done} onCancel={cancel} />;
  return (
    <div className={styles["acts"]}>
      {account.secondFactor ? <Pill tone="ok">On</Pill> : <Pill tone="idle">Off</Pill>}
      {account.secondFactor && (
        <span className="soft">
          {account.recoveryCodes === 1
            ? "1 recovery code is left"
            : `${account.recoveryCodes} recovery codes are left`}
        </span>
      )}
      <Button
        variant="default"
        // oxlint-disable-next-line jsx-a11y/no-autofocus -- it has the focus back that its form had.
        autoFocus={open === false}
        onClick={() => setOpen(true)}
      >
        {account.secondFactor ? "Switch off…" : "Set up…"}
      </Button>
    </div>
  );
}
