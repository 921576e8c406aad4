import { Button, Group as Row } from "@mantine/core";
import { SidePanel } from "../ui/dialog";
import { useLast } from "../ui/last";
import { moment } from "../ui/time";
import { noticeState } from "./ask";
import styles from "./page.module.css";
import { MODES } from "./search";
import type { Allocation } from "./store";

export function Details({
  allocation,
  ended,
  container,
  mayRelease,
  onClose,
  onAsk,
  onRelease,
}: {
  allocation: Allocation | null;
  /** Whether it is known to have ended, whatever it says itself. */
  ended: boolean;
  container: string;
  mayRelease: boolean;
  onClose: () => void;
  onAsk: (allocation: Allocation) => void;
  onRelease: (allocation: Allocation) => void;
}) {
  const a = useLast(allocation);
  const over = ended || (a !== null && a.state !== "ACTIVE");
  const entries: [string, string][] = a
    ? [
        ["Product", `${a.product.name} · ${a.product.reference}`],
        ["Container", container],
        ["User", a.user],
        ["Client", a.client],
        ["Process", `${a.application} (${a.processId})`],
        ["Mode", MODES[a.mode]],
        [
          "Licenses",
          a.asked === a.licenses ? String(a.licenses) : `${a.licenses}, asked for ${a.asked}`,
        ],
        ["Borrowed", a.borrowed ? "yes: it can't be removed before it is returned" : "no"],
        ["Station", a.station || "–"],
        ...(a.removal
          ? [
              [
                "Release",
                a.removal.refused
                  ? `refused: ${a.removal.message || a.removal.code}`
                  : `asked for by ${a.removal.by}, ${moment(a.removal.askedAt)}`,
              ] as [string, string],
            ]
          : []),
        ...(a.notice
          ? [
              [
                "Asked to release",
                `by ${a.notice.by}, ${moment(a.notice.askedAt)}. ${noticeState(a.notice)}`,
              ] as [string, string],
            ]
          : []),
        ["Seat", a.seat > 0 ? String(a.seat) : "none"],
        ["First access", moment(a.firstAccess)],
        ["Last access", moment(a.lastAccessAt ?? a.lastAccess)],
        ["Accesses", a.accesses > 0 ? String(a.accesses) : "not told yet"],
        ...(over
          ? []
          : [
              ["Idle since", a.idleSince ? moment(a.idleSince) : "in use, or not told"] as [
                string,
                string,
              ],
            ]),
        ["Expires", over ? "it has ended" : a.expiresAt ? moment(a.expiresAt) : "not told yet"],
        ["Handle", a.handle],
      ]
    : [];
  return (
    <SidePanel opened={allocation !== null} onClose={onClose} title="Allocation">
      <dl className={styles["details"]}>
        {entries.map(([name, value]) => (
          <div key={name}>
            <dt className="soft">{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {a && (
        <Row mt={16} gap={8}>
          <Button
            variant="default"
            disabled={!mayRelease || a.borrowed || over}
            onClick={() => onAsk(a)}
          >
            Ask…
          </Button>
          <Button
            variant="default"
            disabled={!mayRelease || a.borrowed || over}
            onClick={() => onRelease(a)}
          >
            Release…
          </Button>
        </Row>
      )}
    </SidePanel>
  );
}
