import { useMediaQuery } from "@mantine/hooks";
import { useVirtualizer } from "@tanstack/react-virtual";
import { type FocusEvent, useCallback, useRef } from "react";
import { useKeys } from "../shell/keys";
import { AskIcon, ReleaseIcon, SortIcon } from "../ui/icons";
import { useNow } from "../ui/now";
import { clock, duration, moment } from "../ui/time";
import { type Column, MODES, type Sort } from "./search";
import type { Allocation, Row } from "./store";
import styles from "./table.module.css";

const HEIGHT = 32;
const TWO_LINES = 56;

const HEADS: readonly {
  column: Column;
  label: string;
  number?: boolean;
  priority: 1 | 2 | 3 | 4 | 5;
}[] = [
  { column: "product", label: "Product", priority: 1 },
  { column: "client", label: "Client", priority: 1 },
  { column: "user", label: "User", priority: 1 },
  { column: "process", label: "Process", priority: 1 },
  { column: "mode", label: "Mode", priority: 3 },
  { column: "seat", label: "Seat", number: true, priority: 4 },
  { column: "licenses", label: "Licenses", number: true, priority: 2 },
  { column: "firstAccess", label: "First access", priority: 4 },
  { column: "accesses", label: "Accesses", number: true, priority: 5 },
  { column: "lastAccess", label: "Last access", priority: 2 },
  { column: "idle", label: "Idle", priority: 3 },
  { column: "expires", label: "Expires", priority: 4 },
];

export interface TableProps {
  /** The serial number of the container that they are of. */
  container: string;
  rows: readonly Row[];
  sort: Sort;
  onSort: (sort: Sort) => void;
  releasing: ReadonlySet<string>;
  mayRelease: boolean;
  onOpen: (allocation: Allocation) => void;
  onAsk: (allocation: Allocation) => void;
  onRelease: (allocation: Allocation) => void;
  /** The pointer or the focus came into the rows, or left them. */
  onInside: (by: "pointer" | "focus", inside: boolean) => void;
}

type RowProps = Pick<TableProps, "container" | "mayRelease" | "onOpen" | "onAsk" | "onRelease"> & {
  row: Row;
  index: number;
  releasing: boolean;
};

function Name({ row, onOpen }: Pick<RowProps, "row" | "onOpen">) {
  const { product } = row.allocation;
  return (
    <button
      type="button"
      className={styles["open"]}
      data-open
      onClick={() => onOpen(row.allocation)}
    >
      {product.name} <span className="mono soft">{product.reference}</span>
    </button>
  );
}

function ActCell({ row, releasing, mayRelease, onAsk, onRelease }: RowProps) {
  const a = row.allocation;
  return (
    <td className={styles["pinned"]}>
      {row.gone ? null : releasing ? (
        <span className="meta soft">Releasing</span>
      ) : (
        <span className={styles["acts"]}>
          <button
            type="button"
            className={styles["ask"]}
            disabled={!mayRelease || a.borrowed}
            aria-label={`Ask ${a.user} to release ${a.product.name}, ${a.application} ${a.processId}`}
            title={
              a.borrowed
                ? "It is borrowed: its program can't be asked"
                : mayRelease
                  ? "Ask the holder to release it"
                  : "This needs the role operator"
            }
            onClick={() => onAsk(a)}
          >
            <AskIcon />
          </button>
          <button
            type="button"
            className={styles["release"]}
            disabled={!mayRelease || a.borrowed}
            aria-label={`Release ${a.product.name} from ${a.user}, ${a.application} ${a.processId}`}
            title={
              a.borrowed
                ? "It is borrowed: it can't be removed before it is returned"
                : mayRelease
                  ? "Release"
                  : "This needs the role operator"
            }
            onClick={() => onRelease(a)}
          >
            <ReleaseIcon />
          </button>
        </span>
      )}
    </td>
  );
}

function attributes({ row, index }: RowProps) {
  return {
    className: styles["row"],
    "aria-rowindex": index + 2,
    "data-index": index,
    "data-testid": "allocation",
    "data-id": row.allocation.id,
    "data-fresh": row.fresh || undefined,
    "data-gone": row.gone || undefined,
  };
}

function Idle({ since }: { since: string | null }) {
  const now = useNow();
  return since === null ? "–" : duration(now - Date.parse(since));
}

function OneLine(props: RowProps) {
  const a = props.row.allocation;
  return (
    <tr {...attributes(props)}>
      <td>
        <Name {...props} />
      </td>
      <td>{a.client}</td>
      <td>{a.user}</td>
      <td>
        {a.application} <span className="mono soft">{a.processId}</span>
      </td>
      <td data-priority={3}>{MODES[a.mode]}</td>
      <td data-priority={4} className={styles["number"]}>
        {a.seat > 0 ? a.seat : "–"}
      </td>
      <td data-priority={2} className={styles["number"]}>
        {a.licenses}
      </td>
      <td data-priority={4} className="figures">
        {moment(a.firstAccess)}
      </td>
      <td data-priority={5} className={styles["number"]}>
        {a.accesses || "–"}
      </td>
      <td data-priority={2} className="figures">
        {clock(a.lastAccessAt ?? a.lastAccess)}
      </td>
      <td data-priority={3} className="figures">
        <Idle since={a.idleSince} />
      </td>
      <td data-priority={4} className="figures">
        {a.expiresAt ? (a.borrowed ? moment : clock)(a.expiresAt) : "–"}
      </td>
      <td data-priority={5} className="mono">
        {props.container}
      </td>
      <ActCell {...props} />
    </tr>
  );
}

function TwoLines(props: RowProps) {
  const a = props.row.allocation;
  return (
    <tr {...attributes(props)}>
      <td>
        <div className={styles["stacked"]}>
          <Name {...props} />
          <span className="meta soft">
            {a.user} · {a.client} · {a.application} {a.processId}
          </span>
        </div>
      </td>
      <ActCell {...props} />
    </tr>
  );
}

function HeadCell({
  head,
  sort,
  onSort,
}: {
  head: (typeof HEADS)[number];
  sort: Sort;
  onSort: TableProps["onSort"];
}) {
  const by = sort.column === head.column;
  return (
    <th
      scope="col"
      data-priority={head.priority}
      className={head.number ? styles["number"] : undefined}
      aria-sort={by ? (sort.down ? "descending" : "ascending") : undefined}
    >
      <button
        type="button"
        className={styles["sort"]}
        onClick={() => onSort({ column: head.column, down: by ? !sort.down : false })}
      >
        {head.label}
        {by && <SortIcon down={sort.down} />}
      </button>
    </th>
  );
}

/** The place of the row that has the focus; -1 when none has. */
function at(): number {
  const row = document.activeElement?.closest<HTMLElement>("tr[data-index]");
  return row ? Number(row.dataset["index"]) : -1;
}

/** The rows that are on the screen; thousands more cost nothing. */
export function AllocationsTable(props: TableProps) {
  const { rows, sort, onSort, onInside } = props;
  const box = useRef<HTMLElement>(null);
  const narrow = useMediaQuery(
    "(max-width: 599px)",
    window.matchMedia("(max-width: 599px)").matches,
  );
  const height = narrow ? TWO_LINES : HEIGHT;
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => box.current,
    estimateSize: useCallback(() => height, [height]),
    getItemKey: (index) => rows[index]?.allocation.id ?? index,
    overscan: 12,
    scrollPaddingStart: HEIGHT,
  });

  const focus = (index: number) => {
    if (index < 0 || index >= rows.length) return;
    virtual.scrollToIndex(index);
    const name = () =>
      box.current?.querySelector<HTMLElement>(`tr[data-index="${index}"] [data-open]`);
    // A row far away is drawn only after the list has scrolled to it.
    const drawn = name();
    if (drawn) drawn.focus({ preventScroll: true });
    else requestAnimationFrame(() => name()?.focus({ preventScroll: true }));
  };
  useKeys({
    j: () => focus(Math.min(at() + 1, rows.length - 1)),
    k: () => focus(Math.max(at() - 1, 0)),
    r: () => {
      const row = rows[at()];
      if (row && !row.gone && props.mayRelease) props.onRelease(row.allocation);
    },
  });

  const leave = (event: FocusEvent) => {
    if (!event.currentTarget.contains(event.relatedTarget)) onInside("focus", false);
  };
  const items = virtual.getVirtualItems();
  const before = items[0]?.start ?? 0;
  const after = virtual.getTotalSize() - (items.at(-1)?.end ?? 0);
  const span = narrow ? 2 : HEADS.length + 2;
  const Line = narrow ? TwoLines : OneLine;
  return (
    <section ref={box} className={styles["box"]} aria-label="Live allocations" tabIndex={-1}>
      <table className={styles["table"]} aria-rowcount={rows.length + 1}>
        <thead>
          <tr>
            {HEADS.filter((head) => !narrow || head.column === "product").map((head) => (
              <HeadCell key={head.column} head={head} sort={sort} onSort={onSort} />
            ))}
            {!narrow && (
              <th scope="col" data-priority={5}>
                Container
              </th>
            )}
            <th scope="col" className={styles["pinned"]}>
              <span className="hidden">Ask or release</span>
            </th>
          </tr>
        </thead>
        <tbody
          onPointerEnter={() => onInside("pointer", true)}
          onPointerLeave={() => onInside("pointer", false)}
          onFocus={() => onInside("focus", true)}
          onBlur={leave}
        >
          {before > 0 && (
            <tr aria-hidden="true" style={{ height: before }}>
              <td colSpan={span} />
            </tr>
          )}
          {items.map((item) => {
            const row = rows[item.index];
            return row ? (
              <Line
                key={item.key}
                {...props}
                row={row}
                index={item.index}
                releasing={
                  props.releasing.has(row.allocation.id) && !row.allocation.removal?.refused
                }
              />
            ) : null;
          })}
          {after > 0 && (
            <tr aria-hidden="true" style={{ height: after }}>
              <td colSpan={span} />
            </tr>
          )}
        </tbody>
      </table>
    </section>
  );
}
