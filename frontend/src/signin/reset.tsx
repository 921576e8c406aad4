import { Button } from "@mantine/core";
import { useEffect, useState } from "react";
import type { Failure } from "../api/errors";
import { refusedBy, rest, useSend } from "../api/rest";
import { Mark } from "../ui/icons";
import { toMistake } from "../ui/mistake";
import { FailureNote } from "../ui/note";
import { useTitle } from "../ui/title";
import { Wait } from "../ui/wait";
import { NewPasswordFields, useNewPassword } from "./new-password";
import styles from "./page.module.css";

interface Shown {
  reset: { email: string; expiresAt: string; endsSecondFactor: boolean };
}

function ResetForm({ busy, onSet }: { busy: boolean; onSet: (password: string) => void }) {
  const chosen = useNewPassword();
  const [tried, setTried] = useState(false);
  return (
    <form
      className={styles["fields"]}
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        setTried(true);
        if (chosen.good) onSet(chosen.password);
        toMistake(event.currentTarget);
      }}
    >
      <NewPasswordFields of={chosen} label="New password" tried={tried} />
      <Button type="submit" loading={busy} fullWidth h={36}>
        Set the password
      </Button>
    </form>
  );
}

/** Where the operator's link leads who has lost password or second factor. */
export function ResetPage() {
  useTitle("New password");
  const [token] = useState(() => window.location.hash.replace(/^#/, ""));
  const [shown, setShown] = useState<Shown | null>(null);
  const [unknown, setUnknown] = useState<Failure | null>(null);
  const [done, setDone] = useState(false);
  const { busy, failure, run } = useSend();
  useEffect(() => {
    rest<Shown>("/auth/reset", { token }).then(setShown, (error) => setUnknown(refusedBy(error)));
  }, [token]);
  const set = (password: string) =>
    void run(() => rest("/auth/reset/end", { token, password })).then((ok) => ok && setDone(true));
  const reset = shown?.reset;
  return (
    <main className={styles["page"]}>
      <div className={styles["card"]}>
        <p className={styles["brand"]}>
          <Mark /> Quorate
        </p>
        <h1>New password</h1>
        {unknown && <FailureNote title="The link can't be used" failure={unknown} />}
        {!shown && !unknown && <Wait heights={[60, 36, 36]} label="Loading the link" />}
        {reset && !done && (
          <p>
            Set a new password for <b>{reset.email}</b>. All your sessions end
            {reset.endsSecondFactor ? ", and the second factor is removed" : ""}.
          </p>
        )}
        {failure && <FailureNote title="The password is not set" failure={failure} />}
        {reset && !done && <ResetForm busy={busy} onSet={set} />}
        {done && (
          <>
            <p role="status">
              The password is set.
              {reset?.endsSecondFactor
                ? " Sign in, and set up a second factor again under Account."
                : ""}
            </p>
            <Button component="a" href="/login" fullWidth h={36}>
              Sign in
            </Button>
          </>
        )}
      </div>
    </main>
  );
}
