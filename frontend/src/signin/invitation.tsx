import { Button, TextInput } from "@mantine/core";
import { useEffect, useState } from "react";
import type { Failure } from "../api/errors";
import { refusedBy, rest, useSend } from "../api/rest";
import { signOut } from "../api/session";
import type { Role } from "../gql/graphql";
import { ROLES } from "../shell/roles";
import { Mark } from "../ui/icons";
import { toMistake } from "../ui/mistake";
import { FailureNote } from "../ui/note";
import { day } from "../ui/time";
import { useTitle } from "../ui/title";
import { Wait } from "../ui/wait";
import { NewPasswordFields, useNewPassword } from "./new-password";
import styles from "./page.module.css";

interface Shown {
  invitation: {
    email: string;
    name: string;
    role: Role;
    organization: string;
    invitedBy: string;
    expiresAt: string;
    known: boolean;
  };
  /** Who is signed in in this browser; empty: nobody. */
  signedIn: string;
}

function NewAccount({
  name: suggested,
  busy,
  onAccept,
}: {
  name: string;
  busy: boolean;
  onAccept: (name: string, password: string) => void;
}) {
  const [name, setName] = useState(suggested);
  const chosen = useNewPassword();
  const [tried, setTried] = useState(false);
  return (
    <form
      className={styles["fields"]}
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        setTried(true);
        if (name.trim() !== "" && chosen.good) onAccept(name.trim(), chosen.password);
        toMistake(event.currentTarget);
      }}
    >
      <TextInput
        label="Your name"
        autoComplete="name"
        value={name}
        error={tried && name.trim() === "" ? "Enter your name." : undefined}
        onChange={(event) => setName(event.currentTarget.value)}
      />
      <NewPasswordFields of={chosen} label="Password" tried={tried} />
      <Button type="submit" loading={busy} fullWidth h={36}>
        Join
      </Button>
    </form>
  );
}

const leave = () => void signOut().then(() => window.location.reload());

export function InvitationPage() {
  useTitle("Invitation");
  const [token] = useState(() => window.location.hash.replace(/^#/, ""));
  const [shown, setShown] = useState<Shown | null>(null);
  const [unknown, setUnknown] = useState<Failure | null>(null);
  const { busy, failure, run } = useSend();
  useEffect(() => {
    rest<Shown>("/auth/invitation", { token }).then(setShown, (error) =>
      setUnknown(refusedBy(error)),
    );
  }, [token]);
  const accept = (name: string, password: string) =>
    void run(() => rest("/auth/invitation/accept", { token, name, password })).then(
      (done) => done && window.location.replace("/"),
    );
  const invitation = shown?.invitation;
  const own = shown !== null && shown.signedIn === shown.invitation.email;
  const signedInAs = shown?.signedIn ?? "";
  return (
    <main className={styles["page"]}>
      <div className={styles["card"]}>
        <p className={styles["brand"]}>
          <Mark /> Quorate
        </p>
        <h1>Invitation</h1>
        {unknown && <FailureNote title="The invitation can't be used" failure={unknown} />}
        {!shown && !unknown && <Wait heights={[60, 36, 36]} label="Loading the invitation" />}
        {invitation && (
          <p>
            {invitation.invitedBy} invites <b>{invitation.email}</b> to{" "}
            <b>{invitation.organization}</b> as {ROLES[invitation.role].toLowerCase()}, until{" "}
            {day(invitation.expiresAt)}.
          </p>
        )}
        {failure && <FailureNote title="You have not joined" failure={failure} />}
        {invitation && !invitation.known && (
          <NewAccount name={invitation.name} busy={busy} onAccept={accept} />
        )}
        {invitation?.known && own && (
          <Button loading={busy} fullWidth h={36} onClick={() => accept("", "")}>
            Join as {signedInAs}
          </Button>
        )}
        {invitation?.known && !own && signedInAs === "" && (
          <>
            <p>You have an account: sign in to it, then join.</p>
            <Button
              component="a"
              href={`/login?to=${encodeURIComponent(`/invitation#${token}`)}`}
              fullWidth
              h={36}
            >
              Sign in
            </Button>
          </>
        )}
        {invitation?.known && !own && signedInAs !== "" && (
          <>
            <p>
              You are signed in as {signedInAs}. Sign out, then sign in as {invitation.email}.
            </p>
            <Button variant="default" fullWidth h={36} onClick={leave}>
              Sign out
            </Button>
          </>
        )}
      </div>
    </main>
  );
}
