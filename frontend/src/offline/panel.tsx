import { Button } from "@mantine/core";
import { type ReactNode, useState } from "react";
import { useClient, useMutation } from "urql";
import {
  FinishOfflineRolloutMutation,
  OfflineUpdateQuery,
  StartOfflineRolloutMutation,
} from "../api/containers";
import { type Failure, failureOf } from "../api/errors";
import type { RolloutFieldsFragment } from "../gql/graphql";
import { NEEDS_OPERATOR } from "../shell/roles";
import { FailureNote } from "../ui/note";
import { Pill } from "../ui/pill";
import { CertifyTime } from "./certify";
import { type OfflineFile, saveText } from "./file";
import { FileInput } from "./file-input";
import styles from "./offline.module.css";
import { foreign, type Place, type Progress, progressOf, waitsForReceipt } from "./progress";

const PROGRESS: Record<Progress, ReactNode> = {
  done: <Pill tone="ok">Done</Pill>,
  now: <Pill tone="waiting">Next</Pill>,
  later: <Pill tone="idle">Later</Pill>,
};

function Step({
  number,
  title,
  progress,
  children,
}: {
  number: number;
  title: string;
  progress: Progress;
  children: ReactNode;
}) {
  return (
    <li
      className={styles["step"]}
      data-state={progress}
      data-testid={`offline-step-${number}`}
      aria-current={progress === "now" ? "step" : undefined}
    >
      <div className={styles["head"]}>
        <h3>
          <span className={styles["number"]}>{number}</span> {title}
        </h3>
        {PROGRESS[progress]}
      </div>
      {children}
    </li>
  );
}

interface Told {
  title: string;
  failure: Failure;
}

export interface OfflinePanelProps {
  place: Place;
  rollout: RolloutFieldsFragment | null;
  mayAct: boolean;
  /** Folded away where the link does it. */
  opened: boolean;
  onToggle: (opened: boolean) => void;
  onRollout: (rollout: RolloutFieldsFragment) => void;
  /** Asks for the state anew after each act. */
  onEnd: () => void;
}

/** Brings an update onto a container or a group by three files. */
export function OfflinePanel(props: OfflinePanelProps) {
  const { opened, onToggle, rollout } = props;
  return (
    <section className={styles["panel"]} aria-labelledby="offline" data-testid="offline">
      <div className={styles["title"]}>
        <h2 id="offline" tabIndex={-1}>
          By files, without a network
        </h2>
        {rollout && waitsForReceipt(rollout) && (
          <span className="soft">Rollout {rollout.number} waits for the receipt.</span>
        )}
        <Button
          variant="default"
          aria-expanded={opened}
          onClick={() => onToggle(!opened)}
          data-testid="offline-toggle"
        >
          {opened ? "Hide" : "Show the steps"}
        </Button>
      </div>
      {opened && <Steps {...props} />}
    </section>
  );
}

function Steps({ place, rollout, mayAct, onRollout, onEnd }: OfflinePanelProps) {
  const client = useClient();
  const [, start] = useMutation(StartOfflineRolloutMutation);
  const [, finish] = useMutation(FinishOfflineRolloutMutation);
  const [request, setRequest] = useState<OfflineFile | null>(null);
  const [receipt, setReceipt] = useState<OfflineFile | null>(null);
  // The file with the certified time; it is gone with the page, the updates are not.
  const [issued, setIssued] = useState<{ rollout: string; text: string } | null>(null);
  const [busy, setBusy] = useState<"request" | "update" | "receipt" | null>(null);
  const [failed, setFailed] = useState<Partial<Record<"request" | "update" | "receipt", Told>>>({});
  const [note, setNote] = useState("");
  const [anew, setAnew] = useState(false);

  const waiting = rollout && waitsForReceipt(rollout) ? rollout : null;
  const overLink = rollout !== null && !rollout.offline;
  const progress = progressOf(waiting !== null, request !== null);
  const single = place.container !== undefined;
  const name = `${place.serial}.lupd`;

  const act = async (what: "request" | "update" | "receipt", run: () => Promise<Told | null>) => {
    setBusy(what);
    setFailed({});
    setNote("");
    const told = await run();
    setBusy(null);
    if (told) setFailed({ [what]: told });
    onEnd();
  };

  const handIn = (file: OfflineFile) =>
    act("request", async () => {
      const input = single
        ? { container: place.container, request: file.text }
        : { tmrGroup: place.tmrGroup, request: file.text };
      const { data, error } = await start({ input });
      if (!data) return { title: "The request was not taken", failure: failureOf(error) };
      const { rollout: begun, update } = data.startOfflineRollout;
      onRollout(begun);
      setRequest(null);
      setAnew(false);
      if (update) setIssued({ rollout: begun.id, text: update });
      setNote(
        update
          ? "The update file is ready: download it."
          : "The request shows that all is installed. Nothing is left to do.",
      );
      return null;
    });

  const download = (of: RolloutFieldsFragment) =>
    act("update", async () => {
      if (issued?.rollout === of.id) {
        saveText(name, issued.text);
        return null;
      }
      const { data, error } = await client
        .query(OfflineUpdateQuery, { rollout: of.id }, { requestPolicy: "network-only" })
        .toPromise();
      if (!data)
        return { title: "The update file could not be fetched", failure: failureOf(error) };
      saveText(name, data.offlineUpdate);
      return null;
    });

  const finishWith = (of: RolloutFieldsFragment, file: OfflineFile) =>
    act("receipt", async () => {
      const input = { rollout: of.id, receipt: file.text };
      const { data, error } = await finish({ input });
      if (!data) return { title: "The receipt was not taken", failure: failureOf(error) };
      onRollout(data.finishOfflineRollout.rollout);
      setReceipt(null);
      setNote(
        data.finishOfflineRollout.rollout.state === "DONE"
          ? "The receipt is in: the update is installed."
          : "The receipt is in. Those of the other backends are still missing.",
      );
      return null;
    });

  const odd = request && foreign(request, place);
  const oddReceipt = receipt && foreign(receipt, place);
  const command = single ? " --container container.qrc" : "";
  return (
    <>
      {!mayAct && <p className="soft">{NEEDS_OPERATOR}</p>}
      {overLink && (
        <p className="soft">
          Rollout {rollout.number} runs over the link: wait until it ends, or abort it.
        </p>
      )}
      <p role="status" className={note ? undefined : "hidden"} data-testid="offline-note">
        {note}
      </p>
      <ol className={styles["steps"]}>
        <Step number={1} title="Hand in the request" progress={overLink ? "later" : progress[0]}>
          <p className="soft">
            {single
              ? "On the container's machine, while its license server rests:"
              : "On the machine of the active TMR server:"}
          </p>
          <code className={styles["command"]}>
            quorate request{command} -o {place.serial}.lreq
          </code>
          {mayAct && waiting && !anew && (
            <Button
              className={styles["act"]}
              variant="default"
              onClick={() => setAnew(true)}
              data-testid="offline-anew"
            >
              Hand in a newer request
            </Button>
          )}
          {mayAct && (!waiting || anew) && (
            <>
              <FileInput
                kind="request"
                value={request}
                onChange={setRequest}
                disabled={overLink || busy !== null}
              />
              {odd && request && (
                <p className={styles["problem"]} role="alert">
                  {odd}
                </p>
              )}
              <Button
                className={styles["act"]}
                disabled={
                  !request || odd !== null || overLink || (busy !== null && busy !== "request")
                }
                loading={busy === "request"}
                onClick={() => request && void handIn(request)}
                data-testid="offline-start"
              >
                Make the update
              </Button>
            </>
          )}
          {failed.request && <FailureNote {...failed.request} />}
        </Step>
        <Step number={2} title="Download the update" progress={progress[1]}>
          <p className="soft">
            Take it to {single ? "the container's machine" : "the TMR server's machine"} and install
            it:
          </p>
          <code className={styles["command"]}>
            quorate apply {name}
            {command} --receipt {place.serial}.lrcp
          </code>
          {mayAct && (
            <Button
              className={styles["act"]}
              variant={waiting ? "filled" : "default"}
              disabled={!waiting || (busy !== null && busy !== "update")}
              loading={busy === "update"}
              onClick={() => waiting && void download(waiting)}
              data-testid="offline-download"
            >
              Download {name}
            </Button>
          )}
          {failed.update && <FailureNote {...failed.update} />}
        </Step>
        <Step number={3} title="Hand in the receipt" progress={progress[2]}>
          <p className="soft">
            It confirms what is installed. Where it got lost,{" "}
            <span className="mono">quorate receipt</span> writes it again.
          </p>
          {mayAct && (
            <>
              <FileInput
                kind="receipt"
                value={receipt}
                onChange={setReceipt}
                disabled={!waiting || busy !== null}
              />
              {oddReceipt && (
                <p className={styles["problem"]} role="alert">
                  {oddReceipt}
                </p>
              )}
              <Button
                className={styles["act"]}
                disabled={
                  !waiting ||
                  !receipt ||
                  oddReceipt !== null ||
                  (busy !== null && busy !== "receipt")
                }
                loading={busy === "receipt"}
                onClick={() => waiting && receipt && void finishWith(waiting, receipt)}
                data-testid="offline-finish"
              >
                Finish
              </Button>
            </>
          )}
          {failed.receipt && <FailureNote {...failed.receipt} />}
        </Step>
      </ol>
      {mayAct && <CertifyTime place={place} />}
    </>
  );
}
