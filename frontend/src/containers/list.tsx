import { Button, NativeSelect, TextInput } from "@mantine/core";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useRef, useState } from "react";
import type { ContainerState } from "../gql/graphql";
import { useKeys } from "../shell/keys";
import { mayProvision } from "../shell/roles";
import { count, plural } from "../ui/count";
import { Empty, FailureNote } from "../ui/note";
import { Pill } from "../ui/pill";
import { useTitle } from "../ui/title";
import { Wait } from "../ui/wait";
import styles from "./list.module.css";
import { type Container, filtered, KINDS, STATES, totals } from "./model";
import { RegisterDialog } from "./register";
import type { ContainersSearch } from "./search";
import { useContainers } from "./use-containers";

const route = getRouteApi("/$side/$organization/containers");

function stateChoices(containers: readonly Container[]) {
  return [
    { value: "", label: `All states (${count(containers.length)})` },
    ...(Object.keys(STATES) as ContainerState[]).map((state) => ({
      value: state,
      label: `${STATES[state].text} (${count(containers.filter((c) => c.state === state).length)})`,
    })),
  ];
}

function place(container: Container): string {
  if (!container.tmrGroup) return "Single";
  return container.position === null
    ? `Group ${container.tmrGroup.name}`
    : `Group ${container.tmrGroup.name}, backend ${container.position}`;
}

function figures(container: Container): string {
  if (container.tmrGroup) return "Licenses at the group";
  const { held, waiting, leaving } = totals(container);
  const parts = [plural(held, "license")];
  if (waiting > 0) parts.push(`${count(waiting)} waiting`);
  if (leaving > 0) parts.push(`${count(leaving)} leaving`);
  return parts.join(" · ");
}

function Row({ container }: { container: Container }) {
  const params = route.useParams();
  const state = STATES[container.state];
  return (
    <li>
      <Link
        to="/$side/$organization/containers/$container"
        params={{ ...params, container: container.serial }}
        className={styles["row"]}
        data-testid="container"
        data-state={container.state}
      >
        <span className={styles["name"]}>
          <b className="mono">{container.serial}</b>
          <span className="soft">{KINDS[container.kind]}</span>
        </span>
        <span className={styles["flags"]}>
          <Pill tone={state.tone}>{state.text}</Pill>
          {container.state !== "SUSPECTED" && container.manipulationSuspected && (
            <Pill tone="bad">Suspected</Pill>
          )}
          {container.replacedBy && (
            <span className="soft">Replaced by {container.replacedBy.serial}</span>
          )}
        </span>
        <span>{place(container)}</span>
        <span className="figures">{figures(container)}</span>
        <span className="soft">{container.customer?.name ?? "Own use"}</span>
      </Link>
    </li>
  );
}

export function ContainersPage() {
  useTitle("Containers");
  const { viewer } = route.useRouteContext();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const { all: containers, total, failure, refetch } = useContainers();
  const [registering, setRegistering] = useState(false);
  const filter = useRef<HTMLInputElement>(null);
  useKeys({ "/": () => filter.current?.focus() });

  const change = (to: ContainersSearch) => void navigate({ search: to, replace: true });
  const shown = filtered(containers ?? [], search);
  const may = mayProvision(viewer.role);
  return (
    <div className={styles["page"]}>
      <div className={styles["head"]}>
        <h1>Containers</h1>
        {may && (
          <Button onClick={() => setRegistering(true)} data-testid="register">
            Register container
          </Button>
        )}
      </div>
      {failure && (
        <FailureNote
          title={
            containers ? "What is shown may be out of date" : "The containers could not be loaded"
          }
          failure={failure}
          onRetry={refetch}
        />
      )}
      {!containers && !failure && (
        <Wait heights={[32, 56, 56, 56]} label="Loading the containers" />
      )}
      {containers && containers.length === 0 && (
        <Empty title="No containers yet">
          <p className="soft">
            A container holds licenses on one license server.{" "}
            {may
              ? "Register one by the request file that quorate request writes on its machine."
              : "An administrator registers one by its request file, which quorate request writes."}
          </p>
        </Empty>
      )}
      {containers && containers.length > 0 && (
        <>
          <div className={styles["filters"]}>
            <TextInput
              ref={filter}
              label="Filter"
              placeholder="Serial, customer or group"
              value={search.q ?? ""}
              onChange={(event) => change({ ...search, q: event.currentTarget.value })}
            />
            <NativeSelect
              label="State"
              data={stateChoices(containers)}
              value={search.state ?? ""}
              onChange={(event) => {
                const { state: _, ...rest } = search;
                const wanted = event.currentTarget.value as ContainerState | "";
                change(wanted ? { ...rest, state: wanted } : rest);
              }}
              data-testid="state-filter"
            />
            <p className="soft" role="status" data-testid="shown">
              {count(shown.length)} of {count(total)} shown
            </p>
          </div>
          {containers.length < total && (
            <p className="soft">
              Only the newest {count(containers.length)} are searched here; the others are in the
              API.
            </p>
          )}
          {shown.length === 0 ? (
            <Empty title={`The filter hides ${plural(containers.length, "container")}`}>
              <Button variant="default" onClick={() => change({})}>
                Show all
              </Button>
            </Empty>
          ) : (
            <ul className={styles["list"]}>
              {shown.map((container) => (
                <Row key={container.id} container={container} />
              ))}
            </ul>
          )}
        </>
      )}
      <RegisterDialog
        opened={registering}
        onClose={() => {
          setRegistering(false);
          refetch();
        }}
      />
    </div>
  );
}
