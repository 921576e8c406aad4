import { Button, TextInput } from "@mantine/core";
import { useState } from "react";
import { rest, useRest, useSend } from "../api/rest";
import styles from "../organization/parts.module.css";
import { NewPasswordFields, useNewPassword } from "../signin/new-password";
import { toMistake } from "../ui/mistake";
import { FailureNote } from "../ui/note";
import { PasswordField } from "../ui/password";
import { useTitle } from "../ui/title";
import { Wait } from "../ui/wait";
import { SecondFactor } from "./second";
import { Sessions } from "./sessions";

export interface Account {
  name: string;
  email: string;
  provider?: string;
  secondFactor: boolean;
  recoveryCodes: number;
}

export function Name({ account, onSaved }: { account: Account; onSaved: () => void }) {
  const [name, setName] = useState(account.name);
  const [said, setSaid] = useState("");
  const { busy, failure, run } = useSend();
  const save = async () => {
    setSaid("");
    if (await run(() => rest("/auth/account", { name: name.trim() }))) {
      setSaid("Saved.");
      onSaved();
    }
  };
  return (
    <form
      className={styles["form"]}
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      {failure && <FailureNote title="The name was not saved" failure={failure} />}
      <TextInput
        label="Name"
        autoComplete="name"
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
      />
      <div className={styles["acts"]}>
        <Button type="submit" loading={busy} disabled={name.trim() === "" || name === account.name}>
          Save the name
        </Button>
        <span role="status" className="soft">
          {said}
        </span>
      </div>
    </form>
  );
}

export function Password({ onChanged }: { onChanged: () => void }) {
  const [present, setPresent] = useState("");
  const chosen = useNewPassword();
  const [tried, setTried] = useState(false);
  const [said, setSaid] = useState("");
  const { busy, failure, run } = useSend();
  const save = async () => {
    setTried(true);
    setSaid("");
    if (!chosen.good || present === "") return;
    if (await run(() => rest("/auth/password", { present, password: chosen.password }))) {
      setPresent("");
      chosen.clear();
      setTried(false);
      setSaid("Changed. All other sessions have ended.");
      onChanged();
    }
  };
  return (
    <form
      className={styles["form"]}
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void save();
        toMistake(event.currentTarget);
      }}
    >
      {failure && <FailureNote title="The password was not changed" failure={failure} />}
      <PasswordField
        label="Present password"
        autoComplete="current-password"
        value={present}
        error={tried && present === "" ? "Enter your present password." : undefined}
        shows="the present password"
        onChange={setPresent}
      />
      <NewPasswordFields of={chosen} label="New password" shows="the new password" tried={tried} />
      <div className={styles["acts"]}>
        <Button type="submit" loading={busy}>
          Change the password
        </Button>
        <span role="status" className="soft">
          {said}
        </span>
      </div>
    </form>
  );
}

export function AccountPage() {
  useTitle("Account");
  const { data, failure, reload } = useRest<{ account: Account }>("/auth/account");
  const [changes, setChanges] = useState(0);
  if (!data) {
    return failure ? (
      <FailureNote
        title="Your account could not be loaded"
        failure={failure}
        onRetry={() => void reload()}
      />
    ) : (
      <Wait heights={[28, 120, 200]} label="Loading your account" />
    );
  }
  const { account } = data;
  return (
    <div className={styles["page"]} data-testid="account-page">
      <div>
        <h1>Account</h1>
        <p className="soft">{account.email}</p>
      </div>
      {failure && (
        <FailureNote
          title="What is shown may be out of date"
          failure={failure}
          onRetry={() => void reload()}
        />
      )}
      {account.provider ? (
        <p>
          {account.provider} has signed you in: name, password and second factor are seen to there.
        </p>
      ) : (
        <>
          <section className={styles["section"]} aria-labelledby="name">
            <h2 id="name">Your name</h2>
            <Name account={account} onSaved={() => void reload()} />
          </section>
          <section className={styles["section"]} aria-labelledby="password">
            <h2 id="password">Password</h2>
            <Password onChanged={() => setChanges((n) => n + 1)} />
          </section>
          <section className={styles["section"]} aria-labelledby="second">
            <h2 id="second">Second factor</h2>
            <SecondFactor account={account} onChanged={() => void reload()} />
          </section>
        </>
      )}
      <section className={styles["section"]} aria-labelledby="sessions">
        <h2 id="sessions">Sessions</h2>
        <Sessions key={changes} />
      </section>
    </div>
  );
}
