import { getRouteApi } from "@tanstack/react-router";
import { useState } from "react";
import { type Connection, useAll } from "../api/all";
import { MembersQuery } from "../api/members";
import { useAct } from "../containers/act";
import type { MembersQuery as Page, Role } from "../gql/graphql";
import { Confirm, type Question } from "../organization/confirm";
import styles from "../organization/parts.module.css";
import { mayManageMembers, NEEDS_ADMINISTRATOR } from "../shell/roles";
import { count } from "../ui/count";
import { FailureNote } from "../ui/note";
import { useTitle } from "../ui/title";
import { Wait } from "../ui/wait";
import { Groups } from "./groups";
import { Invitations } from "./invitations";
import { MemberLine } from "./line";
import { type Member, nodes } from "./model";

const route = getRouteApi("/$side/$organization");

function membersOf(data: Page): Connection<Member> {
  return data.members;
}

export function MembersView({ viewerRole, self }: { viewerRole: Role; self: string }) {
  const {
    all: members,
    total,
    first,
    failure: unloaded,
    refetch: again,
  } = useAll(MembersQuery, membersOf);
  const { busy, failure, run, forget } = useAct();
  const [question, setQuestion] = useState<Question | null>(null);
  const ask = (asked: Question) => {
    forget();
    setQuestion(asked);
  };
  if (!members || !first) {
    return (
      <>
        <h1>Members</h1>
        {unloaded ? (
          <FailureNote title="The members could not be loaded" failure={unloaded} onRetry={again} />
        ) : (
          <Wait heights={[56, 56, 56]} label="Loading the members" />
        )}
      </>
    );
  }
  const may = mayManageMembers(viewerRole);
  const groups = nodes(first.memberGroups.edges);
  return (
    <>
      {unloaded && (
        <FailureNote title="What is shown may be out of date" failure={unloaded} onRetry={again} />
      )}
      <section className={styles["section"]} aria-labelledby="members">
        <h1 id="members">Members</h1>
        {!may && <p className="soft">{NEEDS_ADMINISTRATOR}</p>}
        <ul className={styles["list"]} aria-label="Members">
          {members.map((member) => (
            <MemberLine
              key={member.id}
              member={member}
              viewerRole={viewerRole}
              may={may}
              run={run}
              self={self}
              onAsk={ask}
              onDone={again}
            />
          ))}
        </ul>
        {members.length < total && (
          <p className="soft">
            {count(members.length)} of {count(total)} are shown here; the others are in the API.
          </p>
        )}
      </section>
      {failure && !question && (
        <div className={styles["told"]}>
          <FailureNote title="Nothing was changed" failure={failure} />
        </div>
      )}
      <Invitations
        invitations={nodes(first.invitations.edges)}
        groups={groups}
        viewerRole={viewerRole}
        may={may}
        run={run}
        self={self}
        onAsk={ask}
        onDone={again}
      />
      <Groups
        groups={groups}
        members={members}
        viewerRole={viewerRole}
        may={may}
        run={run}
        self={self}
        onAsk={ask}
        onDone={again}
      />
      <Confirm
        question={question}
        busy={busy}
        failure={failure}
        onClose={() => {
          setQuestion(null);
          forget();
          again();
        }}
      />
    </>
  );
}

export function MembersPage() {
  useTitle("Members");
  const { viewer } = route.useRouteContext();
  return (
    <div className={styles["page"]} data-testid="members-page">
      <MembersView viewerRole={viewer.role} self={viewer.email ?? ""} />
    </div>
  );
}
