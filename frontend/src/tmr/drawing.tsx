import { type ReactNode, type RefObject, useLayoutEffect, useRef, useState } from "react";
import type { BackendState, TmrServerRole } from "../gql/graphql";
import { Pill, type Tone } from "../ui/pill";
import { clock } from "../ui/time";
import styles from "./drawing.module.css";
import type { Group } from "./rollout";

type Backend = Group["backends"][number];
type Server = Group["servers"][number];
type Stroke = "solid" | "dashed" | "dotted";

interface Line {
  key: string;
  from: string;
  to: string;
  tone: Tone;
  stroke: Stroke;
}

const BACKENDS: Record<BackendState, { tone: Tone; text: string; stroke: Stroke }> = {
  PRESENT: { tone: "ok", text: "Present", stroke: "solid" },
  ACTIVATING: { tone: "running", text: "Updating", stroke: "solid" },
  ABSENT: { tone: "bad", text: "Down", stroke: "dotted" },
};

const SERVERS: Record<TmrServerRole, { tone: Tone; text: string; stroke: Stroke; note: string }> = {
  ACTIVE: { tone: "ok", text: "Active", stroke: "solid", note: "Hands out the licenses" },
  STANDBY: {
    tone: "idle",
    text: "Standby",
    stroke: "dashed",
    note: "Takes over when the active one ends",
  },
  DOWN: { tone: "bad", text: "Down", stroke: "dotted", note: "The platform does not hear from it" },
};

/** Solid lines carry traffic, dashed ones stand by, dotted ones are down. */
export function linesOf(group: Pick<Group, "servers" | "backends">): Line[] {
  const active = group.servers.find((server) => server.role === "ACTIVE");
  const lines: Line[] = [
    {
      key: "clients",
      from: "clients",
      to: "address",
      tone: active ? "ok" : "bad",
      stroke: active ? "solid" : "dotted",
    },
  ];
  for (const server of group.servers) {
    const { tone, stroke } = SERVERS[server.role];
    lines.push({
      key: `server ${server.name}`,
      from: "address",
      to: `server ${server.name}`,
      tone,
      stroke,
    });
  }
  const start = active ?? group.servers[0];
  for (const backend of start ? group.backends : []) {
    const { tone, stroke } = BACKENDS[backend.state];
    lines.push({
      key: `backend ${backend.position}`,
      from: `server ${start?.name}`,
      to: `backend ${backend.position}`,
      tone: active ? tone : "idle",
      stroke: active ? stroke : "dotted",
    });
  }
  return lines;
}

function Card({
  id,
  title,
  tone,
  word,
  wordId,
  down,
  children,
}: {
  id: string;
  title: string;
  tone: Tone;
  word?: string;
  wordId?: string;
  down?: boolean;
  children: ReactNode;
}) {
  return (
    <div className={`${styles["card"]} ${styles[tone]}`} data-node={id} data-down={down}>
      <div className={styles["head"]}>
        <h3>{title}</h3>
        {word && (
          <Pill tone={tone} {...(wordId ? { testId: wordId } : {})}>
            {word}
          </Pill>
        )}
      </div>
      {children}
    </div>
  );
}

function BackendCard({ backend }: { backend: Backend }) {
  const { tone, text } = BACKENDS[backend.state];
  const name = `backend-${backend.position}`;
  const down = backend.state === "ABSENT";
  return (
    <Card
      id={`backend ${backend.position}`}
      title={`Backend ${backend.position}`}
      tone={tone}
      word={text}
      wordId={`${name}-state`}
      down={down}
    >
      <p className={styles["line"]}>
        <b className={styles["cell"]} data-testid={`${name}-cell`}>
          {backend.cell}
        </b>{" "}
        <span className="soft">
          {backend.tmrId == null
            ? "not counted now"
            : backend.inForce
              ? "in force"
              : "not in force"}
        </span>
      </p>
      <p className={`${styles["line"]} meta soft`}>
        <span className="mono">{backend.serial}</span>
      </p>
      <p className={`${styles["line"]} meta soft`}>
        <span className="mono">{backend.address.replace(/^https?:\/\//, "")}</span>
        {down && backend.seenAt && <> · last seen {clock(backend.seenAt)}</>}
      </p>
    </Card>
  );
}

function ServerCard({ server }: { server: Server }) {
  const { tone, text, note } = SERVERS[server.role];
  const down = server.role === "DOWN";
  return (
    <Card id={`server ${server.name}`} title={server.name} tone={tone} word={text} down={down}>
      <p className={`${styles["line"]} meta soft`}>{note}</p>
      <p className={`${styles["line"]} meta soft`}>
        <span className="mono">{server.address}</span>
        {down && server.seenAt && <> · last seen {clock(server.seenAt)}</>}
      </p>
    </Card>
  );
}

interface Curve extends Line {
  path: string;
}

/** Measures the cards and keeps the curves between them at their edges. */
function useCurves(box: RefObject<HTMLDivElement | null>, lines: Line[]): Curve[] {
  const [curves, setCurves] = useState<Curve[]>([]);
  const wanted = JSON.stringify(lines);
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const measure = () => {
      const origin = element.getBoundingClientRect();
      const cards = new Map<string, DOMRect>();
      for (const card of element.querySelectorAll<HTMLElement>("[data-node]")) {
        cards.set(card.dataset["node"] ?? "", card.getBoundingClientRect());
      }
      setCurves(
        (JSON.parse(wanted) as Line[]).flatMap((line) => {
          const from = cards.get(line.from);
          const to = cards.get(line.to);
          if (!from || !to) return [];
          const x1 = from.right - origin.left;
          const y1 = from.top + from.height / 2 - origin.top;
          const x2 = to.left - origin.left;
          const y2 = to.top + to.height / 2 - origin.top;
          const bend = (x1 + x2) / 2;
          const path = `M${x1} ${y1}C${bend} ${y1} ${bend} ${y2} ${x2} ${y2}`;
          return [{ ...line, path }];
        }),
      );
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, [box, wanted]);
  return curves;
}

/** Clients, virtual address, TMR servers and backends, in the order of a call's path. */
export function Drawing({ group }: { group: Group }) {
  const box = useRef<HTMLDivElement>(null);
  const curves = useCurves(box, linesOf(group));
  const active = group.servers.find((server) => server.role === "ACTIVE");
  return (
    <section aria-labelledby="servers" className={styles["drawing"]} ref={box}>
      <h2 id="servers" className="hidden">
        Servers of the group
      </h2>
      <svg className={styles["lines"]} aria-hidden="true" focusable="false">
        {curves.map((curve) => (
          <path
            key={curve.key}
            d={curve.path}
            className={`${styles[curve.tone]} ${styles[curve.stroke]}`}
          />
        ))}
      </svg>
      <div className={styles["column"]}>
        <Card id="clients" title="Clients" tone={active ? "ok" : "bad"}>
          <p className={`${styles["line"]} soft`}>
            <span data-testid="tmr-clients">{group.clients}</span>{" "}
            {group.clients === 1 ? "handle" : "handles"}
          </p>
        </Card>
      </div>
      <div className={styles["column"]}>
        <Card id="address" title="Virtual IP" tone={active ? "ok" : "bad"}>
          {active ? (
            <p className={`${styles["line"]} soft`}>Held by {active.name}</p>
          ) : (
            <p className={`${styles["line"]} soft`}>Held by no TMR server</p>
          )}
        </Card>
      </div>
      <div className={styles["column"]}>
        {group.servers.map((server) => (
          <ServerCard key={server.name} server={server} />
        ))}
        {group.servers.length === 0 && (
          <p className="soft">No TMR server has reported to the platform yet.</p>
        )}
      </div>
      <div className={styles["column"]}>
        {group.backends.map((backend) => (
          <BackendCard key={backend.position} backend={backend} />
        ))}
      </div>
    </section>
  );
}
