import { Button } from "@mantine/core";
import { getRouteApi } from "@tanstack/react-router";
import { useState } from "react";
import { useQuery } from "urql";
import { failureOf } from "../api/errors";
import { MembersQuery } from "../api/members";
import { useAct } from "../containers/act";
import type { Role } from "../gql/graphql";
import { Confirm, type Question } from "../organization/confirm";
import styles from "../organization/parts.module.css";
import { mayManageMembers, NEEDS_ADMINISTRATOR } from "../shell/roles";
import { FailureNote } from "../ui/note";
import { useTitle } from "../ui/title";
import { Wait } from "../ui/wait";
import { Groups } from "./groups";
import { Invitations } from "./invitations";
import { MemberLine } from "./line";
import { nodes } from "./model";

const route = getRouteApi("/$side/$organization");

export function MembersView({ viewerRole, self }: { viewerRole: Role; self: string }) {
  const [after, setAfter] = useState<string | null>(null);
  const [{ data, error }, refetch] = useQuery({
    query: MembersQuery,
    variables: { members: after },
    requestPolicy: "cache-and-network",
  });
  const { busy, failure, run, forget } = useAct();
  const [question, setQuestion] = useState<Question | null>(null);
  const again = () => refetch({ requestPolicy: "network-only" });
  const ask = (asked: Question) => {
    forget();
    setQuestion(asked);
  };
  if (!data) {
    return error ? (
      <FailureNote
        title="The members could not be loaded"
        failure={failureOf(error)}
        onRetry={again}
      />
    ) : (
      <Wait heights={[28, 56, 56, 56]} label="Loading the members" />
    );
  }
  const may = mayManageMembers(viewerRole);
  const members = nodes(data.members.edges);
  const page = data.members.pageInfo;
  return (
    <>
      {error && (
        <FailureNote
          title="What is shown may be out of date"
          failure={failureOf(error)}
          onRetry={again}
        />
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
        <div className={styles["acts"]}>
          {after && (
            <Button variant="default" onClick={() => setAfter(null)}>
              Back to the first
            </Button>
          )}
          {page.hasNextPage && (
            <Button variant="default" onClick={() => setAfter(page.endCursor ?? null)}>
              Show more
            </Button>
          )}
        </div>
      </section>
      {failure && !question && (
        <div className={styles["told"]}>
          <FailureNote title="Nothing was changed" failure={failure} />
        </div>
      )}
      <Invitations
        invitations={nodes(data.invitations.edges)}
        groups={nodes(data.memberGroups.edges)}
        viewerRole={viewerRole}
        may={may}
        run={run}
        self={self}
        onAsk={ask}
        onDone={again}
      />
      <Groups
        groups={nodes(data.memberGroups.edges)}
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
