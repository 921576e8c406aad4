import { Button, NativeSelect, TextInput } from "@mantine/core";
import { useState } from "react";
import { useMutation } from "urql";
import {
  AddGroupMemberMutation,
  CreateMemberGroupMutation,
  DeleteMemberGroupMutation,
  RemoveGroupMemberMutation,
} from "../api/members";
import { useAct } from "../containers/act";
import { DialogForm } from "../containers/form";
import type { Role } from "../gql/graphql";
import styles from "../organization/parts.module.css";
import { ROLES, rolesUpTo } from "../shell/roles";
import { Dialog } from "../ui/dialog";
import type { Acting, Member, MemberGroup } from "./model";

function GroupForm({ viewerRole, onDone }: { viewerRole: Role; onDone: () => void }) {
  const [, create] = useMutation(CreateMemberGroupMutation);
  const { busy, failure, run } = useAct();
  const [name, setName] = useState("");
  const [as, setAs] = useState<Role>("VIEWER");
  const [tried, setTried] = useState(false);
  const submit = async () => {
    setTried(true);
    if (name.trim() === "") return;
    const done = await run((key) =>
      create({ input: { name: name.trim(), role: as, idempotencyKey: key } }),
    );
    if (done) onDone();
  };
  return (
    <DialogForm
      failed="The group was not made"
      failure={failure}
      busy={busy}
      submit="Make the group"
      onSubmit={() => void submit()}
      onCancel={onDone}
    >
      <TextInput
        label="Name"
        description="For example Operations"
        value={name}
        error={tried && name.trim() === "" ? "Enter a name." : undefined}
        onChange={(event) => setName(event.currentTarget.value)}
      />
      <NativeSelect
        label="What its members may do at least"
        value={as}
        onChange={(event) => setAs(event.currentTarget.value as Role)}
        data={rolesUpTo(viewerRole).map((r) => ({ value: r, label: ROLES[r] }))}
      />
    </DialogForm>
  );
}

function Line({
  group,
  members,
  viewerRole,
  may,
  run,
  onAsk,
  onDone,
}: Acting & { group: MemberGroup; members: readonly Member[] }) {
  const [, add] = useMutation(AddGroupMemberMutation);
  const [, remove] = useMutation(RemoveGroupMemberMutation);
  const [, drop] = useMutation(DeleteMemberGroupMutation);
  const mayThis = may && rolesUpTo(viewerRole).includes(group.role);
  const inside = new Set(group.members.map((m) => m.id));
  const outside = members.filter((m) => !inside.has(m.id));
  return (
    <li className={styles["row"]} data-testid="member-group">
      <span className={styles["what"]}>
        <b>{group.name}</b>
        <span className="soft">
          {ROLES[group.role]},{" "}
          {group.memberCount === 1 ? "1 member" : `${group.memberCount} members`}
        </span>
      </span>
      <span className={styles["acts"]}>
        {mayThis && outside.length > 0 && (
          <NativeSelect
            aria-label={`Add a member to ${group.name}`}
            value=""
            onChange={(event) => {
              const member = event.currentTarget.value;
              if (member) void run(() => add({ input: { group: group.id, member } })).then(onDone);
            }}
            data={[
              { value: "", label: "Add a member…" },
              ...outside.map((m) => ({ value: m.id, label: m.name || m.email })),
            ]}
          />
        )}
        {mayThis && group.members.length > 0 && (
          <NativeSelect
            aria-label={`Take a member out of ${group.name}`}
            value=""
            onChange={(event) => {
              const member = event.currentTarget.value;
              if (member) {
                void run(() => remove({ input: { group: group.id, member } })).then(onDone);
              }
            }}
            data={[
              { value: "", label: "Take out…" },
              ...group.members.map((m) => ({ value: m.id, label: m.name })),
            ]}
          />
        )}
        {mayThis && (
          <Button
            variant="default"
            aria-label={`Delete ${group.name}`}
            onClick={() =>
              onAsk({
                title: "Delete the group?",
                text: `Its members lose what only ${group.name} allows them. They stay members.`,
                act: "Delete",
                failed: "The group was not deleted",
                run: () => run(() => drop({ input: { group: group.id } })),
              })
            }
          >
            Delete
          </Button>
        )}
      </span>
    </li>
  );
}

export function Groups(props: Acting & { groups: MemberGroup[]; members: readonly Member[] }) {
  const { groups, may, viewerRole, onDone } = props;
  const [open, setOpen] = useState(false);
  return (
    <section className={styles["section"]} aria-labelledby="groups">
      <div className={styles["head"]}>
        <h2 id="groups">Groups</h2>
        {may && (
          <Button variant="default" onClick={() => setOpen(true)}>
            New group
          </Button>
        )}
      </div>
      {groups.length === 0 && (
        <p className="soft">No groups yet. A group gives all of its members a role.</p>
      )}
      <ul className={styles["list"]} aria-label="Groups">
        {groups.map((group) => (
          <Line key={group.id} {...props} group={group} />
        ))}
      </ul>
      <Dialog opened={open} onClose={() => setOpen(false)} title="New group">
        {open && (
          <GroupForm
            viewerRole={viewerRole}
            onDone={() => {
              setOpen(false);
              onDone();
            }}
          />
        )}
      </Dialog>
    </section>
  );
}
