import { Button } from "@mantine/core";
import { rest, useRest, useSend } from "../api/rest";
import styles from "../organization/parts.module.css";
import { FailureNote } from "../ui/note";
import { Pill } from "../ui/pill";
import { moment } from "../ui/time";
import { Wait } from "../ui/wait";

interface Session {
  id: string;
  agent: string;
  address: string;
  began: string;
  seen: string;
  current: boolean;
}

/** `Firefox on Linux`, as far as the browser says. */
export function browserOf(agent: string): string {
  const name = /Edg\//.test(agent)
    ? "Edge"
    : (/(Firefox|Chrome|Safari)\//.exec(agent)?.[1] ?? "A browser");
  const system = /(Windows|Android|iPhone|iPad|Mac OS|Linux)/.exec(agent)?.[1];
  return system ? `${name} on ${system}` : name;
}

export function Sessions() {
  const { data, failure, reload } = useRest<{ sessions: Session[] }>("/auth/sessions");
  const { busy, failure: refused, run } = useSend();
  const end = (what: object) =>
    void run(() => rest("/auth/sessions/end", what)).then(() => reload());
  if (!data) {
    return failure ? (
      <FailureNote
        title="Your sessions could not be loaded"
        failure={failure}
        onRetry={() => void reload()}
      />
    ) : (
      <Wait heights={[48, 48]} label="Loading your sessions" />
    );
  }
  return (
    <>
      {(refused ?? failure) && (
        <FailureNote title="The session was not ended" failure={(refused ?? failure)!} />
      )}
      <ul className={styles["list"]} aria-label="Sessions">
        {data.sessions.map((s) => (
          <li key={s.id} className={styles["row"]} data-testid="session">
            <span className={styles["what"]}>
              <b>{browserOf(s.agent)}</b>
              <span className="soft">
                <span className="mono">{s.address}</span>, last used {moment(s.seen)}, signed in{" "}
                {moment(s.began)}
              </span>
            </span>
            {s.current ? (
              <Pill tone="ok">This one</Pill>
            ) : (
              <Button
                variant="default"
                disabled={busy}
                aria-label={`End ${browserOf(s.agent)}, ${s.address}`}
                onClick={() => end({ id: s.id })}
              >
                End
              </Button>
            )}
          </li>
        ))}
      </ul>
      {data.sessions.length > 1 && (
        <div>
          <Button variant="default" loading={busy} onClick={() => end({ others: true })}>
            End all others
          </Button>
        </div>
      )}
    </>
  );
}
