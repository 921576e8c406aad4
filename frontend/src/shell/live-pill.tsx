import { useSyncExternalStore } from "react";
import { useSocket } from "../live/stream";
import { Pill } from "../ui/pill";
import { clock } from "../ui/time";
import styles from "./shell.module.css";

export function LivePill() {
  const { connection } = useSocket();
  const now = useSyncExternalStore(connection.subscribe, connection.get);
  return (
    <span role="status" data-testid="live" style={{ display: "flex" }}>
      {now.state === "live" && <Pill tone="ok">Live</Pill>}
      {now.state === "connecting" && <Pill tone="running">Connecting</Pill>}
      {now.state === "reconnecting" && (
        <Pill tone="warning">
          Reconnecting<span className={styles["since"]}> since {clock(now.since)}</span>
        </Pill>
      )}
    </span>
  );
}
