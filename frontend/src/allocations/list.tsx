import { getRouteApi, Link, Navigate } from "@tanstack/react-router";
import { type Connection, useAll } from "../api/all";
import { ContainersQuery } from "../api/allocations";
import type { ContainerKind, ContainersQuery as Page } from "../gql/graphql";
import { useHere } from "../ui/here";
import { Empty, FailureNote } from "../ui/note";
import { useTitle } from "../ui/title";
import { Wait } from "../ui/wait";
import styles from "./list.module.css";

const route = getRouteApi("/$side/$organization");

const KINDS: Record<ContainerKind, string> = {
  DONGLE: "Hardware dongle",
  COMPUTER: "Bound to a computer",
  UNIVERSAL: "Bound to a computer",
  VIRTUAL: "Virtual container",
  CLOUD: "Cloud container",
};

interface HoldersProps {
  title: string;
  /** The page of one container. */
  to: "/$side/$organization/allocations/$container" | "/$side/$organization/rules/$container";
}

type Listed = NonNullable<NonNullable<NonNullable<Page["containers"]["edges"]>[number]>["node"]>;

function containersOf(data: Page): Connection<Listed> {
  return data.containers;
}

/** The containers that hand out licenses: a backend of a TMR group does so only through the group. */
export function Holders({ title, to }: HoldersProps) {
  useTitle(title);
  const params = route.useParams();
  const here = useHere();
  const { all, failure, refetch } = useAll(ContainersQuery, containersOf);
  const containers = (all ?? []).filter((c) => c.kind === "VIRTUAL" || !c.tmrGroup);
  const [only] = containers;
  if (only && containers.length === 1 && here) {
    return <Navigate to={to} params={{ ...params, container: only.serial }} replace />;
  }
  return (
    <div className={styles["page"]}>
      <h1>{title}</h1>
      {failure && (
        <FailureNote
          title={all ? "What is shown may be out of date" : "The containers could not be loaded"}
          failure={failure}
          onRetry={refetch}
        />
      )}
      {!all && !failure && <Wait heights={[44, 44, 44]} label="Loading the containers" />}
      {all && containers.length === 0 && (
        <Empty title="No containers yet">
          <p className="soft">A container appears here when its license server is set up.</p>
        </Empty>
      )}
      <ul className={styles["list"]}>
        {containers.map((container) => (
          <li key={container.id}>
            <Link
              to={to}
              params={{ ...params, container: container.serial }}
              className={styles["container"]}
            >
              <b className="mono">{container.serial}</b>
              <span>{KINDS[container.kind]}</span>
              <span className="soft">{container.tmrGroup?.name}</span>
            </Link>
          </li>
        ))}
      </ul>
    </div>
  );
}

export function ContainersPage() {
  return <Holders title="Live allocations" to="/$side/$organization/allocations/$container" />;
}
