import { Button } from "@mantine/core";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { sentence } from "../api/errors";
import { summary } from "../items/options";
import { OfflinePanel } from "../offline/panel";
import { NotFound } from "../shell/fallback";
import { mayOperate, mayProvision, NEEDS_OPERATOR } from "../shell/roles";
import { OrderDialog } from "../tmr/order";
import { ended } from "../tmr/rollout";
import { count, plural } from "../ui/count";
import { Dialog } from "../ui/dialog";
import { useLast } from "../ui/last";
import { Empty, FailureNote } from "../ui/note";
import { Pill } from "../ui/pill";
import { day, moment } from "../ui/time";
import { useTitle } from "../ui/title";
import { Wait } from "../ui/wait";
import { DecideForm } from "./decide";
import {
  blockedText,
  KINDS,
  movable,
  nextStep,
  STATES,
  TRANSFER_KINDS,
  TRANSFER_STATES,
  type Transfer,
  totals,
} from "./model";
import styles from "./page.module.css";
import { RehostForm } from "./rehost";
import { EarlierRollouts, RolloutCard, StartForm } from "./rollout";
import { TRANSFERS, TransferForm, type TransferKind } from "./transfer";
import { type Details, useContainer } from "./use-container";

const route = getRouteApi("/$side/$organization/containers/$container");

function ContainerLink({ serial }: { serial: string }) {
  const params = route.useParams();
  return (
    <Link
      to="/$side/$organization/containers/$container"
      params={{ ...params, container: serial }}
      className={`${styles["link"]} mono`}
    >
      {serial}
    </Link>
  );
}

function Identity({ container }: { container: Details }) {
  const params = route.useParams();
  const facts: [string, React.ReactNode][] = [
    ["Kind", KINDS[container.kind]],
    ["Customer", container.customer?.name ?? "Own use"],
    ["Registered", day(container.createdAt)],
  ];
  if (container.tmrGroup) {
    facts.push([
      "TMR group",
      <Link
        key="group"
        to="/$side/$organization/tmr-groups/$group"
        params={{ ...params, group: container.tmrGroup.id }}
        className={styles["link"]}
      >
        {container.tmrGroup.name}
        {container.position !== null && `, backend ${container.position}`}
      </Link>,
    ]);
  } else {
    facts.push(["License server", container.linked ? "Heard over the link" : "Not heard from"]);
  }
  // A virtual container is made up by its TMR server: nothing is installed on it.
  if (container.kind !== "VIRTUAL") {
    facts.push(["Updates installed", count(container.updateCounter)]);
  }
  return (
    <dl className={styles["facts"]}>
      {facts.map(([term, fact]) => (
        <div key={term}>
          <dt className="soft meta">{term}</dt>
          <dd>{fact}</dd>
        </div>
      ))}
    </dl>
  );
}

function Licenses({ container }: { container: Details }) {
  if (container.licenses.length === 0) {
    return (
      <Empty title="No licenses">
        <p className="soft">Nothing was ordered for it, or all of it has left.</p>
      </Empty>
    );
  }
  return (
    <table className={styles["table"]}>
      <thead>
        <tr>
          <th scope="col">Product</th>
          <th scope="col" className={styles["number"]}>
            On it
          </th>
          <th scope="col" className={styles["number"]}>
            Waiting
          </th>
          <th scope="col" className={styles["number"]}>
            Leaving
          </th>
          <th scope="col">Options</th>
        </tr>
      </thead>
      <tbody>
        {container.licenses.map(({ product, item, quantity, waiting, leaving }) => (
          <tr key={product.id} data-testid="license">
            <td>
              <b>{product.name}</b> <span className="mono soft">{product.reference}</span>
            </td>
            <td className={styles["number"]} data-label="On it">
              {count(quantity)}
            </td>
            <td className={styles["number"]} data-label="Waiting">
              {waiting}
            </td>
            <td className={styles["number"]} data-label="Leaving">
              {leaving}
            </td>
            <td className={styles["options"]}>
              {item.name}
              <span className="soft"> · {summary(item).join(" · ") || "no other options"}</span>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Transfers({ transfers, total }: { transfers: readonly Transfer[]; total: number }) {
  if (transfers.length === 0) return null;
  return (
    <section aria-labelledby="leaving" className={styles["section"]}>
      <h2 id="leaving">Licenses that leave</h2>
      <ul className={styles["transfers"]}>
        {transfers.map((t) => {
          const state = TRANSFER_STATES[t.state];
          return (
            <li key={t.id} data-testid="transfer" data-state={t.state}>
              <span>
                <b>
                  {TRANSFER_KINDS[t.kind]}: {count(t.quantity)} {t.product.name}
                </b>
                {t.toContainer && (
                  <>
                    {" "}
                    to <ContainerLink serial={t.toContainer.serial} />
                  </>
                )}
                <span className="soft meta">
                  {" "}
                  {t.requestedBy}, {moment(t.createdAt)}
                </span>
                {(t.reason || t.note) && (
                  <span className={styles["why"]}>
                    {[t.reason, t.note].filter(Boolean).map(sentence).join(" ")}
                  </span>
                )}
              </span>
              <Pill tone={state.tone}>
                {t.state === "CONFIRMED" && t.credited ? "Gone, credited" : state.text}
              </Pill>
            </li>
          );
        })}
      </ul>
      {total > transfers.length && (
        <p className="soft">{total - transfers.length} earlier ones are in the API.</p>
      )}
    </section>
  );
}

type Opened = "order" | "start" | "rehost" | "decide" | TransferKind | null;

/** What the viewer may do with a container now; what he may not is not offered. */
function actionsOf(
  container: Details,
  side: string,
  vendor: boolean,
  role: Parameters<typeof mayOperate>[0],
) {
  const sells = side === "v" && vendor;
  const usable = !container.blockedAt && !container.tmrGroup;
  const operates = mayOperate(role) && usable;
  const leaves = operates && container.licenses.some((l) => movable(l) > 0);
  return {
    order: operates,
    start: operates && !container.manipulationSuspected,
    return: leaves,
    move: leaves,
    revoke: leaves && sells,
    rehost: mayOperate(role) && !container.tmrGroup && !container.replacedBy,
    decide:
      sells &&
      mayProvision(role) &&
      !container.blockedAt &&
      container.kind !== "VIRTUAL" &&
      (container.manipulationSuspected || !container.tmrGroup),
  };
}

export function ContainerPage() {
  const { container: serial } = route.useParams();
  return <ContainerView key={serial} serial={serial} />;
}

function ContainerView({ serial }: { serial: string }) {
  const params = route.useParams();
  const { viewer } = route.useRouteContext();
  const { container, rollout, failure, refetch, report } = useContainer(serial);
  const [opened, setOpened] = useState<Opened>(null);
  const shown = useLast(opened);
  const [files, setFiles] = useState<boolean | null>(null);
  useTitle(container ? `Container ${container.serial}` : "Container");

  if (!container && (failure ? failure.code === "NOT_FOUND" : container === null)) {
    return <NotFound />;
  }
  if (!container) {
    return (
      <div className={styles["page"]}>
        <h1>Container</h1>
        {failure ? (
          <FailureNote
            title="The container could not be loaded"
            failure={failure}
            onRetry={refetch}
          />
        ) : (
          <Wait heights={[64, 120, 160]} label="Loading the container" />
        )}
      </div>
    );
  }

  const may = actionsOf(container, params.side, viewer.organization.vendor, viewer.role);
  const running = rollout && !ended(rollout) ? rollout : null;
  const state = STATES[container.state];
  const blocked = blockedText(container);
  const earlier = (container.rollouts.edges ?? []).flatMap((edge) =>
    edge?.node && edge.node.id !== rollout?.id ? [edge.node] : [],
  );
  const transfers = (container.transfers.edges ?? []).flatMap((e) => (e?.node ? [e.node] : []));
  const { held, waiting } = totals(container);
  const close = () => setOpened(null);
  const form = { container, onDone: close, onEnd: refetch };
  const toFiles = () => {
    close();
    setFiles(true);
    // After the dialog has given the focus back.
    setTimeout(() => document.getElementById("offline")?.focus(), 200);
  };
  return (
    <div className={styles["page"]} data-testid="container-page" data-state={container.state}>
      <header className={styles["header"]}>
        <div>
          <h1>
            Container <span className={styles["serial"]}>{container.serial}</span>
          </h1>
          <p className={styles["flags"]}>
            <Pill tone={state.tone} testId="container-state">
              {state.text}
            </Pill>
            {container.state !== "SUSPECTED" && container.manipulationSuspected && (
              <Pill tone="bad">Suspected</Pill>
            )}
          </p>
        </div>
        <div className={styles["buttons"]}>
          <Button
            variant="default"
            renderRoot={(props) => (
              <Link
                to="/$side/$organization/allocations/$container"
                params={{ ...params, container: container.serial }}
                {...props}
              />
            )}
          >
            Allocations
          </Button>
          <Button
            variant="default"
            renderRoot={(props) => (
              <Link
                to="/$side/$organization/rules/$container"
                params={{ ...params, container: container.serial }}
                {...props}
              />
            )}
          >
            Rules
          </Button>
          {may.order && (
            <Button variant="default" onClick={() => setOpened("order")} data-testid="order">
              Order licenses
            </Button>
          )}
          {may.start && !running?.offline && (
            <Button
              variant={container.state === "UPDATE_DUE" && !running ? "filled" : "default"}
              onClick={() => setOpened("start")}
              data-testid="start"
            >
              Start rollout
            </Button>
          )}
        </div>
      </header>
      {failure && (
        <FailureNote title="What is shown may be out of date" failure={failure} onRetry={refetch} />
      )}
      <div className={styles["next"]} data-tone={state.tone} data-testid="next-step">
        <p>{nextStep(container, running)}</p>
        {container.manipulationSuspected && container.suspectReason && (
          <p>
            <b>Why it is suspected</b> {sentence(container.suspectReason)}
          </p>
        )}
        {blocked && <p>{sentence(blocked)}</p>}
        {container.replacedBy && (
          <p>
            Go to <ContainerLink serial={container.replacedBy.serial} />.
          </p>
        )}
        {may.decide && container.manipulationSuspected && (
          <Button onClick={() => setOpened("decide")} data-testid="decide">
            Decide
          </Button>
        )}
      </div>
      {!mayOperate(viewer.role) && <p className="soft">{NEEDS_OPERATOR}</p>}
      <Identity container={container} />
      {!container.tmrGroup && (
        <>
          <section aria-labelledby="licenses" className={styles["section"]}>
            <div className={styles["sectionHead"]}>
              <h2 id="licenses">Licenses</h2>
              <span className="soft">
                {plural(held, "license")} on it
                {waiting > 0 && `, ${waiting} waiting`}
              </span>
            </div>
            <Licenses container={container} />
          </section>
          {rollout && (
            <section aria-labelledby="rollouts" className={styles["section"]}>
              <h2 id="rollouts">Rollouts</h2>
              <RolloutCard
                rollout={rollout}
                mayAct={mayOperate(viewer.role)}
                onRollout={report}
                onEnd={refetch}
              />
              <EarlierRollouts rollouts={earlier} total={container.rollouts.totalCount} />
            </section>
          )}
          {!container.blockedAt && (
            <OfflinePanel
              place={{ container: container.id, serial: container.serial }}
              opened={files ?? (!container.linked || running?.offline === true)}
              onToggle={setFiles}
              rollout={running}
              mayAct={mayOperate(viewer.role)}
              onRollout={report}
              onEnd={refetch}
            />
          )}
          <Transfers transfers={transfers} total={container.transfers.totalCount} />
        </>
      )}
      {(may.return || may.rehost || (may.decide && !container.manipulationSuspected)) && (
        <section aria-labelledby="more" className={styles["section"]}>
          <h2 id="more">More</h2>
          <div className={styles["buttons"]}>
            {may.return && (
              <Button variant="default" onClick={() => setOpened("return")} data-testid="return">
                Return licenses
              </Button>
            )}
            {may.move && (
              <Button variant="default" onClick={() => setOpened("move")} data-testid="move">
                Move licenses
              </Button>
            )}
            {may.revoke && (
              <Button variant="default" onClick={() => setOpened("revoke")} data-testid="revoke">
                Revoke licenses
              </Button>
            )}
            {may.rehost && (
              <Button variant="default" onClick={() => setOpened("rehost")} data-testid="rehost">
                Re-host
              </Button>
            )}
            {may.decide && !container.manipulationSuspected && (
              <Button variant="default" onClick={() => setOpened("decide")} data-testid="decide">
                Block
              </Button>
            )}
          </div>
        </section>
      )}
      <OrderDialog
        target={{
          container: container.id,
          name: container.serial,
          ordered: held + waiting,
          customer: container.customer?.id ?? null,
          mayBuy: viewer.organization.vendor && params.side === "v",
        }}
        opened={opened === "order"}
        onClose={() => {
          close();
          refetch();
        }}
      />
      <Dialog opened={opened === "start"} onClose={close} title="Start a rollout">
        <StartForm container={container} onDone={close} onFiles={toFiles} onRollout={report} />
      </Dialog>
      <Dialog
        opened={opened === "return" || opened === "move" || opened === "revoke"}
        onClose={close}
        title={
          shown === "return" || shown === "move" || shown === "revoke"
            ? `${TRANSFERS[shown].title} of ${container.serial}`
            : ""
        }
      >
        {(shown === "return" || shown === "move" || shown === "revoke") && (
          <TransferForm kind={shown} {...form} />
        )}
      </Dialog>
      <Dialog
        opened={opened === "rehost"}
        onClose={close}
        title={`Replace the container ${container.serial}`}
      >
        <RehostForm {...form} />
      </Dialog>
      <Dialog
        opened={opened === "decide"}
        onClose={close}
        title={
          container.manipulationSuspected
            ? `Decide about ${container.serial}`
            : `Block ${container.serial}`
        }
      >
        <DecideForm {...form} />
      </Dialog>
    </div>
  );
}
