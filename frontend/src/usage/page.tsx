import { NativeSelect } from "@mantine/core";
import { getRouteApi, Link } from "@tanstack/react-router";
import { type ReactNode, useMemo } from "react";
import { MODES } from "../allocations/search";
import { failureOf } from "../api/errors";
import { useKept } from "../api/kept";
import { ContainerUseQuery, UsageQuery } from "../api/usage";
import type { UsageQuery as Result, ContainerUseQuery as Use } from "../gql/graphql";
import { NotFound } from "../shell/fallback";
import { count } from "../ui/count";
import { Empty, FailureNote } from "../ui/note";
import { useNow } from "../ui/now";
import { Scroll } from "../ui/scroll";
import { duration, moment } from "../ui/time";
import { useTitle } from "../ui/title";
import { Wait } from "../ui/wait";
import { Chart, PointsTable } from "./chart";
import { inWords, sentence, summary } from "./model";
import styles from "./page.module.css";
import { period, SPANS, type SpanName, type UsageSearch } from "./search";

const route = getRouteApi("/$side/$organization/usage/$container");

type ProductUse = NonNullable<Use["container"]>["use"][number];

function Figure({ label, id, children }: { label: string; id: string; children: ReactNode }) {
  return (
    <div className={styles["figure"]}>
      <dt className="meta soft">{label}</dt>
      <dd data-testid={`usage-${id}`}>{children}</dd>
    </div>
  );
}

function ByMode({ use }: { use: ProductUse }) {
  return (
    <section aria-labelledby="by-mode" className={styles["section"]}>
      <h2 id="by-mode">Now, by access mode</h2>
      {use.modes.length === 0 ? (
        <p className="soft">No program uses a license now.</p>
      ) : (
        <Scroll label="Use by access mode">
          <table className={`${styles["table"]} ${styles["small"]}`} data-testid="by-mode">
            <thead>
              <tr>
                <th scope="col">Mode</th>
                {["Handles", "Licenses", "Borrowed"].map((h) => (
                  <th key={h} scope="col" className={styles["number"]}>
                    {h}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {use.modes.map((m) => (
                <tr key={m.mode}>
                  <td>{MODES[m.mode]}</td>
                  <td className={styles["number"]}>{m.handles}</td>
                  <td className={styles["number"]}>{m.licenses}</td>
                  <td className={styles["number"]}>{m.borrowed}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
      {use.featureMap !== "0" && (
        <p className="meta soft">
          Feature map in force:{" "}
          <span className="mono">0x{Number(use.featureMap).toString(16)}</span>
        </p>
      )}
    </section>
  );
}

function Denials({ denials }: { denials: Result["denials"] }) {
  const rows = (denials.edges ?? []).flatMap((edge) => (edge?.node ? [edge.node] : []));
  return (
    <section aria-labelledby="denials" className={styles["section"]}>
      <div className={styles["header"]}>
        <h2 id="denials">Newest denials</h2>
        {denials.totalCount > rows.length && (
          <span className="soft">
            {rows.length} of {count(denials.totalCount)}; the export has all of the time above
          </span>
        )}
      </div>
      {rows.length === 0 ? (
        <p className="soft">No request was denied.</p>
      ) : (
        <Scroll label="Denials">
          <table className={`${styles["table"]} ${styles["stacked"]}`} data-testid="denials">
            <thead>
              <tr>
                {["When", "Reason", "Rule", "Mode"].map((h) => (
                  <th key={h} scope="col">
                    {h}
                  </th>
                ))}
                <th scope="col" className={styles["number"]}>
                  Licenses
                </th>
                {["User", "Client", "Program"].map((h) => (
                  <th key={h} scope="col">
                    {h}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map((d) => (
                <tr key={d.id}>
                  <td>{moment(d.at)}</td>
                  <td title={d.reason}>
                    <b>{inWords(d.reason)}</b>
                  </td>
                  <td data-empty={d.rule === ""}>{d.rule || "–"}</td>
                  <td>{MODES[d.mode]}</td>
                  <td className={styles["number"]} data-one={d.licenses === 1}>
                    {d.licenses}
                    <span className={styles["unit"]}> licenses</span>
                  </td>
                  <td>{d.user}</td>
                  <td>{d.client}</td>
                  <td>{d.application}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
    </section>
  );
}

function Exports({
  container,
  product,
  span,
}: {
  container: string;
  product: string;
  span: SpanName;
}) {
  const { resolution } = SPANS[span];
  const { from, to } = period(span, useNow());
  const at = (name: string, more: Record<string, string>) =>
    `/export/${name}?${new URLSearchParams({ format: "csv", container, product, from, to, ...more })}`;
  return (
    <p className={styles["exports"]}>
      <span className="soft">Export as CSV:</span>
      <a className={styles["link"]} href={at("usage", { resolution })} download>
        Usage
      </a>
      <a className={styles["link"]} href={at("allocations", {})} download>
        Allocations
      </a>
      <a className={styles["link"]} href={at("denials", {})} download>
        Denials
      </a>
    </p>
  );
}

function OverTime({
  container,
  use,
  span,
}: {
  container: string;
  use: ProductUse;
  span: SpanName;
}) {
  const { from, to } = period(span, useNow());
  const variables = useMemo(
    () => ({ container, product: use.product, from, to, resolution: SPANS[span].resolution }),
    [container, use.product, from, to, span],
  );
  const [{ data, error }, refetch] = useKept({
    query: UsageQuery,
    variables,
    requestPolicy: "cache-and-network",
  });
  const points = data?.usage.points ?? [];
  const s = summary(points);
  return (
    <>
      {error && (
        <FailureNote
          title={data ? "What is shown may be out of date" : "The usage could not be loaded"}
          failure={failureOf(error)}
          onRetry={() => refetch({ requestPolicy: "network-only" })}
        />
      )}
      {!data && !error && <Wait heights={[60, 200]} label="Loading the usage" />}
      {data && (
        <>
          <dl className={styles["figures"]}>
            <Figure label="Now" id="now">
              <b>{count(use.taken)}</b> <span className="meta soft">of {count(use.total)}</span>
            </Figure>
            <Figure label="Peak" id="peak">
              <b>{count(s.peak)}</b>
            </Figure>
            <Figure label="Denials" id="denied">
              <b>{count(s.denials)}</b>
            </Figure>
            <Figure label="Time at the limit" id="full">
              <b>{s.fullMs === 0 ? "None" : duration(s.fullMs)}</b>
            </Figure>
          </dl>
          {points.length === 0 ? (
            <Empty title="Nothing is known of this time">
              <p className="soft">Usage is shown from the first license that was taken.</p>
            </Empty>
          ) : (
            <>
              <p>
                <span data-testid="usage-sentence">{sentence(s)}</span>
                {data.usage.since && Date.parse(data.usage.since) > Date.parse(from) && (
                  <span className="soft"> Before {moment(data.usage.since)} nothing is known.</span>
                )}
              </p>
              <Chart
                points={points}
                from={data.usage.from}
                to={data.usage.to}
                mark={SPANS[span].mark}
              />
              <details>
                <summary>Show as table</summary>
                <PointsTable points={points} />
              </details>
            </>
          )}
          <ByMode use={use} />
          <Denials denials={data.denials} />
        </>
      )}
    </>
  );
}

export function UsagePage() {
  const { container, ...params } = route.useParams();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  useTitle("Usage");
  const [{ data, error }, refetch] = useKept({
    query: ContainerUseQuery,
    variables: { serial: container },
    requestPolicy: "cache-and-network",
  });
  const span = search.span ?? "day";
  const all = data?.container?.use ?? [];
  const use = all.find((u) => u.product === search.product) ?? all[0];
  const onSearch = (change: UsageSearch) =>
    void navigate({ search: (before) => ({ ...before, ...change }), replace: true });
  if (data && !data.container) return <NotFound />;
  return (
    <div className={styles["page"]} data-testid="usage-page">
      <header className={styles["header"]}>
        <div>
          <h1>Usage</h1>
          <p className="soft">
            Container <span className="mono">{data?.container?.serial ?? container}</span>,{" "}
            <Link
              to="/$side/$organization/allocations/$container"
              params={{ ...params, container }}
              className={styles["link"]}
            >
              live allocations
            </Link>
            {", "}
            <Link
              to="/$side/$organization/rules/$container"
              params={{ ...params, container }}
              className={styles["link"]}
            >
              rules
            </Link>
          </p>
        </div>
        <div className={styles["choices"]}>
          {all.length > 0 && (
            <NativeSelect
              aria-label="Product"
              value={use?.product ?? ""}
              onChange={(event) => onSearch({ product: event.currentTarget.value })}
              data={all.map((u) => ({ value: u.product, label: `${u.name} · ${u.product}` }))}
            />
          )}
          <NativeSelect
            aria-label="Time"
            data-testid="span"
            value={span}
            onChange={(event) => onSearch({ span: event.currentTarget.value as SpanName })}
            data={Object.entries(SPANS).map(([value, { label }]) => ({ value, label }))}
          />
        </div>
      </header>
      {error && (
        <FailureNote
          title="The container could not be loaded"
          failure={failureOf(error)}
          onRetry={() => refetch({ requestPolicy: "network-only" })}
        />
      )}
      {!data && !error && <Wait heights={[60, 200]} label="Loading the usage" />}
      {data && !use && (
        <Empty title="No licenses yet">
          <p className="soft">Usage is shown once the container holds licenses.</p>
        </Empty>
      )}
      {use && (
        <>
          <OverTime key={use.product} container={container} use={use} span={span} />
          <Exports container={container} product={use.product} span={span} />
        </>
      )}
    </div>
  );
}
