import { Button, PasswordInput, TextInput } from "@mantine/core";
import { type FormEvent, useState } from "react";
import { rest, useSend } from "../api/rest";
import styles from "../organization/parts.module.css";
import { Secret } from "../organization/secret";
import { DANGER } from "../ui/danger";
import { FailureNote } from "../ui/note";
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
        The second factor is on. Keep these recovery codes where you don't keep your authenticator:
        each signs you in once without it, and they are shown this once.
      </p>
      <ul className={styles["codes"]} data-testid="recovery-codes">
        {codes.map((code) => (
          <li key={code}>{code}</li>
        ))}
      </ul>
      <Secret value={codes.join("\n")} label="Recovery codes as text" testId="recovery-text" />
      <div>
        <Button onClick={onDone}>I have kept them</Button>
      </div>
    </div>
  );
}

function Enrol({ onDone }: { onDone: () => void }) {
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
        <PasswordInput
          label="Your password"
          autoComplete="current-password"
          value={password}
          visibilityToggleButtonProps={{ "aria-label": "Show your password" }}
          onChange={(event) => setPassword(event.currentTarget.value)}
        />
        <div>
          <Button type="submit" loading={busy} disabled={password === ""}>
            Set up
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
        value={code}
        onChange={(event) => setCode(event.currentTarget.value)}
      />
      <div>
        <Button type="submit" loading={busy} disabled={code.trim() === ""}>
          Switch on
        </Button>
      </div>
    </form>
  );
}

function Disable({ onDone }: { onDone: () => void }) {
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
      <PasswordInput
        label="Your password"
        autoComplete="current-password"
        value={password}
        visibilityToggleButtonProps={{ "aria-label": "Show your password" }}
        onChange={(event) => setPassword(event.currentTarget.value)}
      />
      <TextInput
        label="Code"
        description="From your authenticator, or a recovery code"
        autoComplete="one-time-code"
        value={code}
        onChange={(event) => setCode(event.currentTarget.value)}
      />
      <div>
        <Button
          type="submit"
          {...DANGER}
          loading={busy}
          disabled={password === "" || code.trim() === ""}
        >
          Switch off
        </Button>
      </div>
    </form>
  );
}

export function SecondFactor({ account, onChanged }: { account: Account; onChanged: () => void }) {
  const [open, setOpen] = useState(false);
  const done = () => {
    setOpen(false);
    onChanged();
  };
  return (
    <>
      <div className={styles["acts"]}>
        {account.secondFactor ? <Pill tone="ok">On</Pill> : <Pill tone="idle">Off</Pill>}
        {account.secondFactor && (
          <span className="soft">{account.recoveryCodes} recovery codes are left</span>
        )}
        {!open && (
          <Button variant="default" onClick={() => setOpen(true)}>
            {account.secondFactor ? "Switch off…" : "Set up…"}
          </Button>
        )}
      </div>
      {open && (account.secondFactor ? <Disable onDone={done} /> : <Enrol onDone={done} />)}
    </>
  );
}
