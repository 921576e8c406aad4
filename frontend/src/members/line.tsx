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
  self,
  onAsk,
}: Acting & { member: Member }) {
  const [, update] = useMutation(UpdateMemberMutation);
  const [, remove] = useMutation(RemoveMemberMutation);
  const roles = rolesUpTo(viewerRole);
  const mayThis = may && roles.includes(member.effectiveRole);
  const byGroup = member.effectiveRole !== member.role;
  const name = member.name || member.email;
  const own = member.email === self;
  // A select changes with each arrow key, so that the choice alone does nothing.
  const change = (next: Role) =>
    onAsk({
      title: `Change the role of ${name}?`,
      text: own
        ? `You become ${ROLES[next].toLowerCase()} at once, and can't take it back yourself.`
        : `${name} becomes ${ROLES[next].toLowerCase()} at once, in place of ${ROLES[member.role].toLowerCase()}.`,
      act: "Change",
      harmless: !own,
      failed: "The role was not changed",
      run: () =>
        run(() => update({ input: { member: member.id, revision: member.revision, role: next } })),
    });
  return (
    <li className={styles["row"]} data-testid="member">
      <span className={styles["what"]}>
        <span>
          <b>{name}</b>
          {own && <span className="soft"> (you)</span>}
        </span>
        <span className="soft">
          {member.email}
          {member.groups.length > 0 && ` · ${member.groups.map((g) => g.name).join(", ")}`}
        </span>
        {byGroup && <span className="soft">{ROLES[member.effectiveRole]} by a group</span>}
      </span>
      <span className={styles["acts"]}>
        {mayThis ? (
          <NativeSelect
            aria-label={`Role of ${name}`}
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
            aria-label={`Remove ${name}`}
            onClick={() =>
              onAsk({
                title: `Remove ${name}?`,
                text: own
                  ? "You are out at once. Only somebody else can invite you again."
                  : `${name} is out at once. What ${name} made stays.`,
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
