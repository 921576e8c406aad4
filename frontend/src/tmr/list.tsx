import { getRouteApi, Link, Navigate } from "@tanstack/react-router";
import { plural } from "../ui/count";
import { useHere } from "../ui/here";
import { Empty, FailureNote } from "../ui/note";
import { Pill } from "../ui/pill";
import { useTitle } from "../ui/title";
import { Wait } from "../ui/wait";
import styles from "./list.module.css";
import { useGroups } from "./use-groups";
import { VERDICTS } from "./verdict";

const route = getRouteApi("/$side/$organization/tmr-groups");

export function GroupsPage() {
  useTitle("TMR groups");
  const params = route.useParams();
  const here = useHere();
  const { all: groups, total, failure, refetch } = useGroups();
  const [only] = groups ?? [];
  if (only && total === 1 && here) {
    return (
      <Navigate
        to="/$side/$organization/tmr-groups/$group"
        params={{ ...params, group: only.id }}
        replace
      />
    );
  }
  return (
    <div className={styles["page"]}>
      <h1>TMR groups</h1>
      {failure && (
        <FailureNote
          title={groups ? "What is shown may be out of date" : "The TMR groups could not be loaded"}
          failure={failure}
          onRetry={refetch}
        />
      )}
      {!groups && !failure && <Wait heights={[64, 64, 64]} label="Loading the TMR groups" />}
      {groups?.length === 0 && (
        <Empty title="No TMR groups yet">
          <p className="soft">
            A group appears here when its three backends and two TMR servers are set up.
          </p>
        </Empty>
      )}
      <ul className={styles["list"]}>
        {groups?.map((group) => (
          <li key={group.id}>
            <Link
              to="/$side/$organization/tmr-groups/$group"
              params={{ ...params, group: group.id }}
              className={styles["group"]}
            >
              <span className={styles["name"]}>
                <b>{group.name}</b>
                <span className="mono soft">{group.virtualSerial}</span>
              </span>
              <Pill tone={VERDICTS[group.health].tone}>{VERDICTS[group.health].text}</Pill>
              <span className="mono">{group.status}</span>
              <span className={styles["figures"]}>
                {plural(group.quantity, "license")}{" "}
                <span className="soft">· {plural(group.clients, "handle")}</span>
              </span>
            </Link>
          </li>
        ))}
      </ul>
    </div>
  );
}
