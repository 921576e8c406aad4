import { Button, Checkbox, NativeSelect, Group as Row, TextInput } from "@mantine/core";
import { useState } from "react";
import { useMutation } from "urql";
import {
  CreateInvitationMutation,
  ResendInvitationMutation,
  RevokeInvitationMutation,
} from "../api/members";
import { useAct } from "../containers/act";
import { DialogForm } from "../containers/form";
import type { Role } from "../gql/graphql";
import styles from "../organization/parts.module.css";
import { Secret } from "../organization/secret";
import { ROLES, rolesUpTo } from "../shell/roles";
import { Dialog } from "../ui/dialog";
import { useLast } from "../ui/last";
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

/** An invitation's link, once. */
function Link({ email, link, onDone }: { email: string; link: string; onDone: () => void }) {
  return (
    <div className={styles["section"]}>
      <p role="status">
        {email} is invited. Send this link to that person alone: it is shown this once and ends
        after 7 days.
      </p>
      {link === "" ? (
        <p>It was shown before and can’t be shown again: make a new link.</p>
      ) : (
        <Secret value={link} label="The invitation's link" testId="invitation-link" focused />
      )}
      <Row justify="flex-end">
        <Button onClick={onDone}>Close</Button>
      </Row>
    </div>
  );
}

const linkOf = (token: string | null | undefined) =>
  token ? invitationLink(window.location.origin, token) : "";

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
  if (link !== null) return <Link email={email.trim()} link={link} onDone={onDone} />;
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
      if (data) setLink(linkOf(data.createInvitation.token));
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
  const [, resend] = useMutation(ResendInvitationMutation);
  const [open, setOpen] = useState(false);
  const [again, setAgain] = useState<{ email: string; link: string } | null>(null);
  const shown = useLast(again);
  const close = () => {
    setOpen(false);
    setAgain(null);
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
                  aria-label={`New link for ${i.email}`}
                  onClick={() =>
                    onAsk({
                      title: `Make a new link for ${i.email}?`,
                      text: "The earlier link does not work any more then.",
                      act: "Make a new link",
                      harmless: true,
                      failed: "There is no new link",
                      run: () =>
                        run(async () => {
                          const { data, error } = await resend({ input: { invitation: i.id } });
                          const token = data?.resendInvitation.token;
                          if (data) setAgain({ email: i.email, link: linkOf(token) });
                          return { error };
                        }),
                    })
                  }
                >
                  New link
                </Button>
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
      <Dialog opened={again !== null} onClose={close} title="A new link" held>
        {shown && <Link {...shown} onDone={close} />}
      </Dialog>
    </section>
  );
}
