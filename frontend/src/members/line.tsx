import { Button, NativeSelect } from "@mantine/core";
import { useMutation } from "urql";
import { RemoveMemberMutation, UpdateMemberMutation } from "../api/members";
import type { Role } from "../gql/graphql";
import styles from "../organization/parts.module.css";
import { ROLES, rolesUpTo } from "../shell/roles";
import type { Acting, Member } from "./model";

export function MemberLine({
  member,
  viewerRole,
  may,
  run,
  onAsk,
  onDone,
}: Acting & { member: Member }) {
  const [, update] = useMutation(UpdateMemberMutation);
  const [, remove] = useMutation(RemoveMemberMutation);
  const roles = rolesUpTo(viewerRole);
  const mayThis = may && roles.includes(member.effectiveRole);
  const byGroup = member.effectiveRole !== member.role;
  const change = (next: Role) =>
    void run(() =>
      update({ input: { member: member.id, revision: member.revision, role: next } }),
    ).then(onDone);
  return (
    <li className={styles["row"]} data-testid="member">
      <span className={styles["what"]}>
        <b>{member.name || member.email}</b>
        <span className="soft">
          {member.email}
          {member.groups.length > 0 && ` · ${member.groups.map((g) => g.name).join(", ")}`}
        </span>
        {byGroup && <span className="soft">{ROLES[member.effectiveRole]} by a group</span>}
      </span>
      <span className={styles["acts"]}>
        {mayThis ? (
          <NativeSelect
            aria-label={`Role of ${member.name || member.email}`}
            value={member.role}
            onChange={(event) => change(event.currentTarget.value as Role)}
            data={roles.map((r) => ({ value: r, label: ROLES[r] }))}
          />
        ) : (
          <span>{ROLES[member.role]}</span>
        )}
        {mayThis && (
          <Button
            variant="default"
            aria-label={`Remove ${member.name || member.email}`}
            onClick={() =>
              onAsk({
                title: "Remove the member?",
                text: `${member.name || member.email} is out at once. What the member made stays.`,
                act: "Remove",
                failed: "The member was not removed",
                run: () => run(() => remove({ input: { member: member.id } })),
              })
            }
          >
            Remove
          </Button>
        )}
      </span>
    </li>
  );
}
