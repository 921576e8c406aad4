import { useSyncExternalStore } from "react";
import { useSocket } from "../live/stream";
import { Pill } from "../ui/pill";
import { clock } from "../ui/time";

export function LivePill() {
  const { connection } = useSocket();
  const now = useSyncExternalStore(connection.subscribe, connection.get);
  return (
    <span role="status" data-testid="live" style={{ display: "flex" }}>
      {now.state === "live" && <Pill tone="ok">Live</Pill>}
      {now.state === "connecting" && <Pill tone="running">Connecting</Pill>}
      {now.state === "reconnecting" && (
        <Pill tone="warning">Reconnecting since {clock(now.since)}</Pill>
      )}
    </span>
  );
}
