import { Button, Checkbox, NativeSelect, Group as Row, TextInput } from "@mantine/core";
import { useState } from "react";
import { useMutation } from "urql";
import { CreateInvitationMutation, RevokeInvitationMutation } from "../api/members";
import { useAct } from "../containers/act";
import { DialogForm } from "../containers/form";
import type { Role } from "../gql/graphql";
import styles from "../organization/parts.module.css";
import { Secret } from "../organization/secret";
import { ROLES, rolesUpTo } from "../shell/roles";
import { Dialog } from "../ui/dialog";
import { useNow } from "../ui/now";
import { Pill } from "../ui/pill";
import { day } from "../ui/time";
import {
  type Acting,
  type Invitation,
  invitationLink,
  invitationState,
  type MemberGroup,
} from "./model";

export function InviteForm({
  viewerRole,
  groups,
  onDone,
}: {
  viewerRole: Role;
  groups: MemberGroup[];
  onDone: () => void;
}) {
  const [, invite] = useMutation(CreateInvitationMutation);
  const { busy, failure, run } = useAct();
  const [email, setEmail] = useState("");
  const [name, setName] = useState("");
  const [as, setAs] = useState<Role>("VIEWER");
  const [joins, setJoins] = useState<string[]>([]);
  const [tried, setTried] = useState(false);
  const [link, setLink] = useState<string | null>(null);
  const valid = /^\S+@\S+$/.test(email.trim());
  if (link !== null) {
    return (
      <div className={styles["section"]}>
        <p role="status">
          {email.trim()} is invited. Send this link to that person alone: it is shown this once and
          ends after 7 days.
        </p>
        {link === "" ? (
          <p>It was shown before and can't be shown again: invite once more.</p>
        ) : (
          <Secret value={link} label="The invitation's link" testId="invitation-link" focused />
        )}
        <Row justify="flex-end">
          <Button onClick={onDone}>Close</Button>
        </Row>
      </div>
    );
  }
  const submit = async () => {
    setTried(true);
    if (!valid) return;
    await run(async (key) => {
      const { data, error } = await invite({
        input: {
          email: email.trim(),
          name: name.trim(),
          role: as,
          groups: joins,
          idempotencyKey: key,
        },
      });
      const token = data?.createInvitation.token;
      if (data) setLink(token ? invitationLink(window.location.origin, token) : "");
      return { error };
    });
  };
  return (
    <DialogForm
      failed="Nobody was invited"
      failure={failure}
      busy={busy}
      submit="Invite"
      onSubmit={() => void submit()}
      onCancel={onDone}
    >
      <TextInput
        label="E-mail address"
        type="email"
        value={email}
        error={tried && !valid ? "Enter the person's e-mail address." : undefined}
        onChange={(event) => setEmail(event.currentTarget.value)}
      />
      <TextInput
        label="Name"
        description="May be left out"
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
      />
      <NativeSelect
        label="Role"
        value={as}
        onChange={(event) => setAs(event.currentTarget.value as Role)}
        data={rolesUpTo(viewerRole).map((r) => ({ value: r, label: ROLES[r] }))}
      />
      {groups.length > 0 && (
        <fieldset className={styles["scopes"]}>
          <legend>Groups</legend>
          {groups.map((g) => (
            <Checkbox
              key={g.id}
              label={g.name}
              checked={joins.includes(g.id)}
              onChange={(event) =>
                setJoins(
                  event.currentTarget.checked
                    ? [...joins, g.id]
                    : joins.filter((id) => id !== g.id),
                )
              }
            />
          ))}
        </fieldset>
      )}
    </DialogForm>
  );
}

export function Invitations({
  invitations,
  groups,
  viewerRole,
  may,
  run,
  onAsk,
  onDone,
}: Acting & { invitations: Invitation[]; groups: MemberGroup[] }) {
  const [, revoke] = useMutation(RevokeInvitationMutation);
  const [open, setOpen] = useState(false);
  const close = () => {
    setOpen(false);
    onDone();
  };
  const now = useNow();
  const roles = rolesUpTo(viewerRole);
  const waiting = invitations.filter((i) => {
    const state = invitationState(i, now);
    return state === "open" || state === "ended";
  });
  return (
    <section className={styles["section"]} aria-labelledby="invitations">
      <div className={styles["head"]}>
        <h2 id="invitations">Invitations</h2>
        {may && <Button onClick={() => setOpen(true)}>Invite</Button>}
      </div>
      {waiting.length === 0 && <p className="soft">No invitation is open.</p>}
      <ul className={styles["list"]} aria-label="Invitations">
        {waiting.map((i) => (
          <li key={i.id} className={styles["row"]} data-testid="invitation">
            <span className={styles["what"]}>
              <b>{i.email}</b>
              <span className="soft">
                {ROLES[i.role]}, invited by {i.invitedBy}
              </span>
            </span>
            <span className={styles["acts"]}>
              {invitationState(i, now) === "open" ? (
                <Pill tone="waiting">Until {day(i.expiresAt)}</Pill>
              ) : (
                <Pill tone="idle">Ended</Pill>
              )}
              {may && roles.includes(i.role) && (
                <Button
                  variant="default"
                  aria-label={`Take back the invitation of ${i.email}`}
                  onClick={() =>
                    onAsk({
                      title: "Take the invitation back?",
                      text: `The link of ${i.email} does not work any more then.`,
                      act: "Take back",
                      failed: "The invitation was not taken back",
                      run: () => run(() => revoke({ input: { invitation: i.id } })),
                    })
                  }
                >
                  Take back
                </Button>
              )}
            </span>
          </li>
        ))}
      </ul>
      <Dialog opened={open} onClose={close} title="Invite a person" held>
        {open && <InviteForm viewerRole={viewerRole} groups={groups} onDone={close} />}
      </Dialog>
    </section>
  );
}
