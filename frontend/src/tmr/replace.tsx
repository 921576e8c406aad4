import { Button, Checkbox, NativeSelect, Textarea } from "@mantine/core";
import { useState } from "react";
import { useMutation } from "urql";
import { ReplaceBackendMutation } from "../api/groups";
import { reasonMistake, useAct } from "../containers/act";
import { ConfirmSerial, DialogForm } from "../containers/form";
import type { ReplaceBackendMutation as Result } from "../gql/graphql";
import type { OfflineFile } from "../offline/file";
import { FileInput } from "../offline/file-input";
import { Dialog } from "../ui/dialog";
import { clock } from "../ui/time";
import styles from "./replace.module.css";
import type { Group, Rollout } from "./rollout";

type Replaced = Result["replaceBackend"];

/** What is wrong with the file that was handed in, as far as its headers tell; null: nothing. */
export function requestMistake(
  file: OfflineFile | null,
  group: Pick<Group, "virtualSerial" | "backends">,
): string | null {
  if (!file) return "Hand in the new container's request file.";
  if (file.group !== null && file.group !== group.virtualSerial) {
    return `It is of the group ${file.group}, not of ${group.virtualSerial}.`;
  }
  const fresh = file.serials.filter((s) => group.backends.every((b) => b.serial !== s));
  if (fresh.length === 1) return null;
  return fresh.length === 0
    ? "It has no container that is not in the group yet."
    : `It has ${fresh.length} containers that are not in the group: give the file of one.`;
}

/** What carries the licenses once the backend `old` is blocked, as far as the platform hears. */
export function remaining(group: Pick<Group, "linked" | "backends">, old: string): string {
  if (!group.linked) {
    return "The platform does not hear from the group: make sure that the other two answer, else there is no license until the new one has them.";
  }
  const others = group.backends.filter((b) => b.serial !== old && b.state === "PRESENT").length;
  return others === 2
    ? "The other two carry the licenses meanwhile: running programs keep them."
    : "Fewer than two others answer: there is no license until the new one has them.";
}

/** Backends that do not answer; null where all do. */
export function LostNote({
  group,
  onReplace,
}: {
  group: Group;
  onReplace: (serial: string) => void;
}) {
  const lost = group.linked ? group.backends.filter((b) => b.state === "ABSENT") : [];
  if (lost.length === 0) return null;
  return (
    <ul className={styles["lost"]} data-testid="lost-backends">
      {lost.map((backend) => (
        <li key={backend.position}>
          <p>
            <b>Backend {backend.position}</b> (<span className="mono">{backend.serial}</span>) does
            not answer
            {backend.seenAt && <> since {clock(backend.seenAt)}</>}. Start it again; replace it only
            where it is lost for good.
          </p>
          <Button
            variant="default"
            onClick={() => onReplace(backend.serial)}
            data-testid={`replace-${backend.position}`}
          >
            Replace backend {backend.position}
          </Button>
        </li>
      ))}
    </ul>
  );
}

function Done({
  made,
  position,
  onDone,
}: {
  made: Replaced;
  position: number;
  onDone: () => void;
}) {
  return (
    <div className={styles["form"]}>
      <p role="status" data-testid="replaced">
        <b className="mono">{made.container.serial}</b> is in the place of{" "}
        <span className="mono">{made.replaced.serial}</span>, which is blocked.
      </p>
      <p>
        Now give both TMR servers the new backend, the standby first: its serial number, address and
        pin at position {position} of <span className="mono">--backend</span>.{" "}
        {made.rollout
          ? `Rollout ${made.rollout.number} waits for that, then brings it the licenses: its steps are on the group's page.`
          : "Then bring it the licenses by files, on the group's page; where the group has none yet, there is nothing to bring."}
      </p>
      <div className={styles["end"]}>
        <Button onClick={onDone} data-testid="replaced-close">
          Close
        </Button>
      </div>
    </div>
  );
}

interface ReplaceProps {
  group: Group;
  running: Rollout | null;
  /** The serial number of the one that is asked about; empty: choose. */
  backend: string;
  onDone: () => void;
  onReplaced: (rollout: Rollout | null) => void;
}

function ReplaceForm({ group, running, backend, onDone, onReplaced }: ReplaceProps) {
  const [, replace] = useMutation(ReplaceBackendMutation);
  const { busy, failure, run } = useAct();
  const [old, setOld] = useState(
    backend || (group.linked && group.backends.find((b) => b.state === "ABSENT")?.serial) || "",
  );
  const [request, setRequest] = useState<OfflineFile | null>(null);
  const [reason, setReason] = useState("");
  const [byFiles, setByFiles] = useState(!group.linked);
  const [confirmed, setConfirmed] = useState("");
  const [tried, setTried] = useState(false);
  const [made, setMade] = useState<{ payload: Replaced; position: number } | null>(null);

  if (made) return <Done made={made.payload} position={made.position} onDone={onDone} />;
  const found = group.backends.find((b) => b.serial === old);
  const mistakes = {
    old: found ? null : "Choose the backend that is lost.",
    request: requestMistake(request, group),
    reason: reason.trim() === "" ? "Say what has happened." : reasonMistake(reason),
  };
  const submit = async () => {
    setTried(true);
    if (!found || !request || mistakes.request || mistakes.reason) return;
    await run(async (idempotencyKey) => {
      const input = {
        backend: found.serial,
        request: request.text,
        reason,
        byFiles,
        idempotencyKey,
      };
      const { data, error } = await replace({ input });
      if (data) {
        setMade({ payload: data.replaceBackend, position: found.position });
        onReplaced(data.replaceBackend.rollout ?? null);
      }
      return { error };
    });
  };
  return (
    <DialogForm
      failed="The backend was not replaced"
      failure={failure}
      lost="It may have been done all the same. Repeating it changes nothing."
      busy={busy}
      submit={found ? `Replace backend ${found.position}` : "Replace"}
      danger
      disabled={!found || confirmed.trim() !== found.serial}
      onSubmit={() => void submit()}
      onCancel={onDone}
    >
      <NativeSelect
        label="Backend that is lost or broken"
        data={[
          { value: "", label: "Choose a backend" },
          ...group.backends.map((b) => ({
            value: b.serial,
            label: `Backend ${b.position} · ${b.serial}${group.linked && b.state === "ABSENT" ? " · down" : ""}`,
          })),
        ]}
        value={old}
        error={tried ? mistakes.old : null}
        onChange={(event) => {
          setOld(event.currentTarget.value);
          setConfirmed("");
        }}
        data-testid="lost-backend"
      />
      {found && (
        <ul className={styles["what"]} data-testid="what-happens">
          <li>
            <span className="mono">{found.serial}</span> is blocked at once and for good.
            {group.linked && found.state !== "ABSENT" && (
              <b> It answers now: make sure that it is the right one.</b>
            )}
          </li>
          <li>{remaining(group, found.serial)}</li>
          <li>
            {running
              ? `Rollout ${running.number} goes on with the new one.`
              : "A rollout brings the new one the licenses of every firm."}
          </li>
        </ul>
      )}
      <p className="soft">
        On the new machine, with the group's activation id, which{" "}
        <span className="mono">quorate container show</span> tells on another backend:{" "}
        <span className="mono">quorate container create container.qrc --activation-id …</span>, then{" "}
        <span className="mono">quorate request --container container.qrc -o new.lreq</span>
      </p>
      <FileInput kind="request" value={request} onChange={setRequest} disabled={busy} />
      {(tried || request) && mistakes.request && (
        <p className={styles["problem"]} role="alert">
          {mistakes.request}
        </p>
      )}
      <Textarea
        label="What has happened"
        rows={2}
        value={reason}
        error={tried ? mistakes.reason : reasonMistake(reason)}
        onChange={(event) => setReason(event.currentTarget.value)}
        data-testid="reason"
      />
      <Checkbox
        label="The group gets its updates by files"
        description="No rollout is started over the link."
        checked={byFiles}
        onChange={(event) => setByFiles(event.currentTarget.checked)}
      />
      {found && <ConfirmSerial serial={found.serial} value={confirmed} onChange={setConfirmed} />}
    </DialogForm>
  );
}

/** Puts a new container into a group in the place of a lost one. */
export function ReplaceDialog({ opened, ...props }: ReplaceProps & { opened: boolean }) {
  return (
    <Dialog
      opened={opened}
      onClose={props.onDone}
      title={`Replace a backend of ${props.group.name}`}
    >
      <ReplaceForm {...props} />
    </Dialog>
  );
}
