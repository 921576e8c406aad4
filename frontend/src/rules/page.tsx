import { NativeSelect } from "@mantine/core";
import { getRouteApi, Link } from "@tanstack/react-router";
import { sentence } from "../api/errors";
import { NotFound } from "../shell/fallback";
import { mayOperate, NEEDS_OPERATOR } from "../shell/roles";
import { FailureNote } from "../ui/note";
import { Pill } from "../ui/pill";
import { useTitle } from "../ui/title";
import { Wait } from "../ui/wait";
import { Change, useDraft } from "./change";
import { Earlier, Saved } from "./earlier";
import type { RuleSet } from "./model";
import { RulesTable } from "./parts";
import styles from "./rules.module.css";
import { type RulesPlace, useRules } from "./use-rules";

const route = getRouteApi("/$side/$organization/rules/$container");

/** How many versions the platform keeps. */
const KEPT = 100;

/** Which servers have the newest rules, where there is one to have. */
function Servers({ place, newest }: { place: RulesPlace; newest: RuleSet | null }) {
  // Where there are no rules, it is of interest only that there are some all the same.
  const shown = place.servers.filter(
    ({ rules }) => newest !== null || rules.ownFile || rules.digest !== "" || rules.problem !== "",
  );
  if (shown.length === 0) return null;
  return (
    <ul className={styles["servers"]} aria-label="On the servers">
      {shown.map(({ name, rules }) => {
        const has = rules.digest === (newest?.digest ?? "");
        return (
          <li key={name} data-testid="rules-server">
            <b>{name}</b>
            {rules.ownFile ? (
              <Pill tone="warning">File of its own</Pill>
            ) : has ? (
              <Pill tone="ok">{newest ? "Has them" : "Has none"}</Pill>
            ) : (
              <Pill tone="waiting">Not yet</Pill>
            )}
            <span className="soft">
              {rules.ownFile && "It was started with --rules: what is saved here does not count. "}
              {rules.problem && sentence(rules.problem)}
            </span>
          </li>
        );
      })}
    </ul>
  );
}

function Versions({
  newest,
  shown,
  onChoose,
}: {
  newest: number;
  shown: number;
  onChoose: (version: number) => void;
}) {
  const all = Array.from({ length: Math.min(newest, KEPT) }, (_, i) => newest - i);
  return (
    <NativeSelect
      aria-label="Version"
      value={String(shown)}
      onChange={(event) => onChoose(Number(event.currentTarget.value))}
      data={all.map((v) => ({
        value: String(v),
        label: v === newest ? `Version ${v}, the newest` : `Version ${v}`,
      }))}
      data-testid="rules-version"
    />
  );
}

export function RulesPage() {
  const { container } = route.useParams();
  return <RulesView key={container} serial={container} />;
}

function RulesView({ serial }: { serial: string }) {
  const { container: _, ...params } = route.useParams();
  const { viewer } = route.useRouteContext();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const { place, newest, failure, refetch, report } = useRules(serial);
  const draft = useDraft(newest);
  useTitle("Rules");

  if (place === null) return <NotFound />;
  if (!place) {
    return (
      <div className={styles["page"]}>
        <h1>Rules</h1>
        {failure ? (
          <FailureNote title="The rules could not be loaded" failure={failure} onRetry={refetch} />
        ) : (
          <Wait heights={[160, 300]} label="Loading the rules" />
        )}
      </div>
    );
  }

  const mayEdit = mayOperate(viewer.role);
  const theirs = place.customer !== null && place.customer.id !== viewer.organization.id;
  const wanted = Number(search.version ?? newest?.version ?? 0);
  const earlier = newest !== null && wanted !== newest.version;
  const choose = (version: number) =>
    void navigate({
      search: version === newest?.version ? {} : { version: String(version) },
      replace: true,
      ignoreBlocker: true, // what was typed stays
    });
  return (
    <div className={styles["page"]} data-testid="rules-page" data-version={newest?.version ?? 0}>
      <header className={styles["header"]}>
        <div>
          <h1>Rules</h1>
          <p className="soft">
            Who may use the licenses of <span className="mono">{place.serial}</span>
            {place.group && (
              <>
                {", of "}
                <Link
                  to="/$side/$organization/tmr-groups/$group"
                  params={{ ...params, group: place.group.id }}
                  className={styles["link"]}
                >
                  {place.group.name}
                </Link>
              </>
            )}
            {", "}
            <Link
              to="/$side/$organization/usage/$container"
              params={{ ...params, container: place.serial }}
              className={styles["link"]}
            >
              usage and denials
            </Link>
          </p>
        </div>
        {newest && newest.version > 1 && (
          <Versions newest={newest.version} shown={wanted} onChoose={choose} />
        )}
      </header>
      {failure && (
        <FailureNote title="What is shown may be out of date" failure={failure} onRetry={refetch} />
      )}
      <section aria-labelledby="in-force" className={styles["section"]}>
        <h2 id="in-force">{earlier ? "An earlier version" : "In force"}</h2>
        {earlier ? (
          <Earlier
            key={wanted}
            place={place}
            version={wanted}
            unsaved={draft.dirty}
            onEdit={
              mayEdit
                ? (text) => {
                    draft.type(text);
                    choose(newest.version);
                  }
                : null
            }
          />
        ) : (
          <>
            {newest && <Saved set={newest} />}
            <Servers place={place} newest={newest} />
            <RulesTable set={newest} />
            {!mayEdit && newest && newest.text !== "" && (
              <details>
                <summary>Show as text</summary>
                <pre className={styles["text"]}>{newest.text}</pre>
              </details>
            )}
          </>
        )}
      </section>
      {mayEdit ? (
        <section aria-labelledby="change" className={styles["section"]}>
          <h2 id="change">Change</h2>
          {theirs && (
            <p className="soft">
              {place.customer?.name} decides who uses these licenses: you may save rules only while
              nobody of theirs can sign in.
            </p>
          )}
          <Change place={place} newest={newest} draft={draft} onSaved={report} onEnd={refetch} />
        </section>
      ) : (
        <p className="soft">{NEEDS_OPERATOR}</p>
      )}
    </div>
  );
}
