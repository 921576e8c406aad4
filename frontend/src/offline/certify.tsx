import { Button } from "@mantine/core";
import { useState } from "react";
import { useMutation } from "urql";
import { CertifyTimeMutation } from "../api/containers";
import { type Failure, failureOf } from "../api/errors";
import type { CertifyTimeMutation as Result } from "../gql/graphql";
import { FailureNote } from "../ui/note";
import { moment } from "../ui/time";
import { type OfflineFile, saveText } from "./file";
import { FileInput } from "./file-input";
import styles from "./offline.module.css";
import { foreign, type Place } from "./progress";

/** Certifies the time alone, for where no update is due and a clock was set back. */
export function CertifyTime({ place }: { place: Place }) {
  const [, certify] = useMutation(CertifyTimeMutation);
  const [request, setRequest] = useState<OfflineFile | null>(null);
  const [made, setMade] = useState<Result["certifyTime"] | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [busy, setBusy] = useState(false);
  const name = `${place.serial}-time.lupd`;
  const odd = request && foreign(request, place);

  const send = async (file: OfflineFile) => {
    setBusy(true);
    setFailure(null);
    const { data, error } = await certify({ input: { request: file.text } });
    setBusy(false);
    if (!data) return setFailure(failureOf(error));
    setMade(data.certifyTime);
    setRequest(null);
    saveText(name, data.certifyTime.update);
  };
  return (
    <details className={styles["certify"]} data-testid="certify">
      <summary>Certify the time</summary>
      <div>
        <p className="soft">
          Where a clock was set back and no update is due: hand in a new request, and install what
          comes back with <span className="mono">quorate apply</span>. An update file brings the
          time as well. Set the machine's clock right first.
        </p>
        <FileInput kind="request" value={request} onChange={setRequest} disabled={busy} />
        {odd && (
          <p className={styles["problem"]} role="alert">
            {odd}
          </p>
        )}
        <Button
          className={styles["act"]}
          variant="default"
          disabled={!request || odd !== null}
          loading={busy}
          onClick={() => request && void send(request)}
          data-testid="certify-submit"
        >
          Certify and download
        </Button>
        {failure && <FailureNote title="The time was not certified" failure={failure} />}
        {made && (
          <p role="status">
            {moment(made.certifiedAt)} is certified for{" "}
            <span className="mono">{made.containers.map((c) => c.serial).join(", ")}</span>.{" "}
            <Button variant="default" onClick={() => saveText(name, made.update)}>
              Download {name} again
            </Button>
          </p>
        )}
      </div>
    </details>
  );
}
