import { Button, Checkbox, NativeSelect, TextInput } from "@mantine/core";
import { getRouteApi, Link } from "@tanstack/react-router";
import { type ReactNode, useMemo, useRef, useState } from "react";
import { ContainerQuery } from "../api/allocations";
import { useKept } from "../api/kept";
import { NotFound } from "../shell/fallback";
import { useKeys } from "../shell/keys";
import { mayOperate } from "../shell/roles";
import { count, plural } from "../ui/count";
import { PauseIcon, PlayIcon } from "../ui/icons";
import { Empty, FailureNote } from "../ui/note";
import { useNow } from "../ui/now";
import { useTitle } from "../ui/title";
import { Wait } from "../ui/wait";
import { frozen, matches, sorted } from "./arrange";
import { AskDialog } from "./ask";
import { Details } from "./details";
import styles from "./page.module.css";
import { ReleaseDialog } from "./release";
import { type AllocationsSearch, formatSort, MODES, parseSort } from "./search";
import type { Allocation, Row, Snapshot } from "./store";
import { useAllocations } from "./stream";
import { AllocationsTable } from "./table";

const route = getRouteApi("/$side/$organization/allocations/$container");
const IDLE_MS = 8 * 3_600_000;

function Figure({ label, id, children }: { label: string; id: string; children: ReactNode }) {
  return (
    <div className={styles["figure"]}>
      <dt className="meta soft">{label}</dt>
      <dd data-testid={`figure-${id}`}>{children}</dd>
    </div>
  );
}

function isIdle(a: Allocation, before: number): boolean {
  return a.idleSince !== null && Date.parse(a.idleSince) < before;
}

function Figures({ snapshot }: { snapshot: Snapshot }) {
  const { figures, rows, living } = snapshot;
  const before = useNow() - IDLE_MS;
  const idle = rows.filter((r) => !r.gone && isIdle(r.allocation, before)).length;
  return (
    <dl className={styles["figures"]}>
      <Figure label="In use" id="in-use">
        <b>{count(figures.taken)}</b> <span className="meta soft">of {count(figures.total)}</span>
      </Figure>
      <Figure label="Free" id="free">
        <b>{count(figures.free)}</b>
      </Figure>
      <Figure label="Allocations" id="allocations">
        <b>{count(living)}</b>
      </Figure>
      <Figure label="Denials, 24 h" id="denials">
        <b>{count(figures.denials)}</b>
      </Figure>
      <Figure label="Idle for over 8 h" id="idle">
        <b>{count(idle)}</b>
      </Figure>
    </dl>
  );
}

/** The list as it was when it was paused; the live one otherwise. */
function usePaused(live: Snapshot | null, paused: boolean): Snapshot | null {
  const [held, setHeld] = useState<Snapshot | null>(null);
  if (paused && !held && live) setHeld(live);
  if (!paused && held) setHeld(null);
  return paused ? (held ?? live) : live;
}

/** Keeps the rows in their places while `still`; `apply` takes the present order. */
function useStill(rows: Row[], still: boolean, subject: string) {
  const [held, setHeld] = useState<{ subject: string; rows: Row[] } | null>(null);
  const apply = () => setHeld({ subject, rows });
  if (still && held?.subject !== subject) apply();
  if (!still && held) setHeld(null);
  const arranged =
    still && held?.subject === subject ? frozen(held.rows, rows) : { rows, changes: 0 };
  return { ...arranged, apply };
}

/** Its address may name it by its serial number or by its id. */
function ContainerLine({ container }: { container: string }) {
  const params = route.useParams();
  const [{ data }] = useKept({ query: ContainerQuery, variables: { serial: container } });
  const serial = data?.container?.serial ?? container;
  const group = data?.container?.tmrGroup;
  return (
    <p className="soft">
      Container <span className="mono">{serial}</span>
      {group && (
        <>
          {" of "}
          <Link
            to="/$side/$organization/tmr-groups/$group"
            params={{ ...params, group: group.id }}
            className={styles["link"]}
          >
            {group.name}
          </Link>
        </>
      )}
      {", "}
      <Link
        to="/$side/$organization/usage/$container"
        params={{ ...params, container: serial }}
        className={styles["link"]}
      >
        usage and denials
      </Link>
      {", "}
      <Link
        to="/$side/$organization/rules/$container"
        params={{ ...params, container: serial }}
        className={styles["link"]}
      >
        rules
      </Link>
    </p>
  );
}

interface FilterProps {
  search: AllocationsSearch;
  onSearch: (change: Partial<Record<keyof AllocationsSearch, string | undefined>>) => void;
  shown: number;
  children: ReactNode;
}

function Filter({ search, onSearch, shown, children }: FilterProps) {
  const input = useRef<HTMLInputElement>(null);
  // The address follows what is typed a little later: typing must not wait for it.
  const [text, setText] = useState(search.q ?? "");
  const [typing, setTyping] = useState(false);
  const [address, setAddress] = useState(search.q);
  if (search.q !== address) {
    setAddress(search.q);
    if (!typing) setText(search.q ?? "");
  }
  useKeys({ "/": () => input.current?.focus() });
  return (
    <div className={styles["filter"]}>
      <TextInput
        ref={input}
        className={styles["text"]}
        aria-label="Filter by product, client, user or process"
        placeholder="Filter by user, client, process…  /"
        value={text}
        onFocus={() => setTyping(true)}
        onBlur={() => setTyping(false)}
        onChange={(event) => {
          setText(event.currentTarget.value);
          onSearch({ q: event.currentTarget.value || undefined });
        }}
        onKeyDown={(event) => {
          if (event.key === "Escape") event.currentTarget.blur();
        }}
      />
      <NativeSelect
        aria-label="Access mode"
        value={search.mode ?? ""}
        onChange={(event) => onSearch({ mode: event.currentTarget.value || undefined })}
        data={[
          { value: "", label: "Any mode" },
          ...Object.entries(MODES).map(([value, label]) => ({ value, label })),
        ]}
      />
      <Checkbox
        size="xs"
        label="Only accesses that take a license"
        checked={search.taking === "1"}
        onChange={(event) => onSearch({ taking: event.currentTarget.checked ? "1" : undefined })}
      />
      <span className="soft" role="status" data-testid="shown">
        {count(shown)} shown
      </span>
      {children}
    </div>
  );
}

export function AllocationsPage() {
  const { container } = route.useParams();
  return <AllocationsView key={container} container={container} />;
}

function AllocationsView({ container }: { container: string }) {
  useTitle("Live allocations");
  const { viewer } = route.useRouteContext();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const stream = useAllocations(container);
  const [opened, setOpened] = useState<Allocation | null>(null);
  const [asked, setAsked] = useState<Allocation | null>(null);
  const [holder, setHolder] = useState<Allocation | null>(null);
  const [releasing, setReleasing] = useState<ReadonlySet<string>>(new Set());
  const [inside, setInside] = useState({ pointer: false, focus: false });

  const paused = search.live === "0";
  const snapshot = usePaused(stream.snapshot, paused);
  const sort = useMemo(() => parseSort(search.sort), [search.sort]);
  const wanted = useMemo(
    () =>
      sorted(
        (snapshot?.rows ?? []).filter((row) => matches(row, search)),
        sort,
      ),
    [snapshot, search, sort],
  );
  const still =
    inside.pointer || inside.focus || opened !== null || asked !== null || holder !== null;
  const subject = `${search.q ?? ""} ${search.mode ?? ""} ${search.taking ?? ""} ${formatSort(sort)}`;
  const { rows, changes, apply } = useStill(wanted, still, subject);

  const onSearch: FilterProps["onSearch"] = (change) =>
    void navigate({
      search: (before) => ({ ...before, ...change }) as AllocationsSearch,
      replace: true,
    });
  const toggle = () => onSearch({ live: paused ? undefined : "0" });
  useKeys({ p: toggle });

  // Beside a paused list, too, panel and dialog tell what is so now.
  const present = (a: Allocation | null) => {
    const live = a && stream.snapshot?.rows.find((r) => r.allocation.id === a.id);
    const ended = a !== null && stream.snapshot !== null && (!live || live.gone);
    return { allocation: live?.allocation ?? a, ended };
  };

  const missing = stream.failure?.code === "NOT_FOUND";
  if (missing && !snapshot) return <NotFound />;
  const mayRelease = mayOperate(viewer.role);
  return (
    <div className={styles["page"]}>
      <header className={styles["header"]}>
        <div>
          <h1>Live allocations</h1>
          <ContainerLine container={container} />
        </div>
        <Button
          variant="default"
          leftSection={paused ? <PlayIcon /> : <PauseIcon />}
          onClick={toggle}
          data-testid="pause"
        >
          {paused ? "Resume" : "Pause"}
        </Button>
      </header>
      {stream.failure && (
        <FailureNote
          title={
            snapshot ? "What is shown may be out of date" : "The allocations could not be loaded"
          }
          failure={stream.failure}
          onRetry={stream.retry}
        />
      )}
      {!snapshot && !stream.failure && (
        <Wait heights={[70, 32, 420]} label="Loading the allocations" />
      )}
      {snapshot && (
        <>
          <Figures snapshot={snapshot} />
          <Filter search={search} onSearch={onSearch} shown={rows.filter((r) => !r.gone).length}>
            {changes > 0 && (
              <Button variant="light" onClick={apply} data-testid="apply">
                {plural(changes, "change")}: apply
              </Button>
            )}
            {paused && <span className={styles["paused"]}>Paused</span>}
          </Filter>
          {snapshot.rows.length === 0 && (
            <Empty title="No program uses a license now">
              <p className="soft">A program that takes a license appears here at once.</p>
            </Empty>
          )}
          {snapshot.rows.length > 0 && rows.length === 0 && (
            <Empty title={`The filter hides ${count(snapshot.living)}`}>
              <Button
                variant="default"
                onClick={() => void navigate({ search: {}, replace: true })}
              >
                Show all
              </Button>
            </Empty>
          )}
          {rows.length > 0 && (
            <AllocationsTable
              container={container}
              rows={rows}
              sort={sort}
              onSort={(next) => onSearch({ sort: formatSort(next) })}
              releasing={releasing}
              mayRelease={mayRelease}
              onOpen={setOpened}
              onAsk={setHolder}
              onRelease={setAsked}
              onInside={(by, now) => setInside((before) => ({ ...before, [by]: now }))}
            />
          )}
        </>
      )}
      <Details
        {...present(opened)}
        container={container}
        mayRelease={mayRelease}
        onClose={() => setOpened(null)}
        onAsk={(allocation) => {
          setOpened(null);
          setHolder(allocation);
        }}
        onRelease={(allocation) => {
          setOpened(null);
          setAsked(allocation);
        }}
      />
      <AskDialog {...present(holder)} onClose={() => setHolder(null)} />
      <ReleaseDialog
        allocation={asked}
        onClose={() => setAsked(null)}
        onReleased={(id) => setReleasing((before) => new Set(before).add(id))}
      />
    </div>
  );
}
