import { moment } from "../ui/time";
import { headline, type Report, type RuleSet, reservations, scopes, what, whyOf } from "./model";
import styles from "./rules.module.css";

/** What a set says, the most specific first, as it is asked. */
export function RulesTable({ set }: { set: RuleSet | null }) {
  if (!set || set.rules.length === 0) {
    return <p data-testid="no-rules">There are no rules: everybody may use the licenses.</p>;
  }
  return (
    <table className={styles["table"]} data-testid="rules-table">
      <thead>
        <tr>
          <th scope="col">Rule</th>
          <th scope="col">Who</th>
          <th scope="col">Called</th>
          <th scope="col" className={styles["number"]}>
            Line
          </th>
        </tr>
      </thead>
      {scopes(set.rules).map(({ scope, title, rules }) => (
        <tbody key={scope}>
          <tr>
            <th scope="rowgroup" colSpan={4}>
              {title}
            </th>
          </tr>
          {rules.map((rule) => (
            <tr key={`${rule.line} ${rule.name}`} data-testid="rule">
              <td>{what(rule)}</td>
              <td className={styles["who"]}>
                {rule.who.length === 0 ? (
                  "everybody"
                ) : (
                  <span className="mono">{rule.who.join(" and ")}</span>
                )}
              </td>
              <td className={`${styles["called"]} soft`}>{rule.name}</td>
              <td className={`${styles["number"]} soft`}>
                <span className={styles["lineWord"]}>line </span>
                {rule.line}
              </td>
            </tr>
          ))}
        </tbody>
      ))}
    </table>
  );
}

/** Which past grants rules would have refused, and why. */
export function ReportView({ report }: { report: Report }) {
  const open = reservations(report);
  return (
    <div className={styles["report"]} data-testid="rules-report" data-refused={report.refusedCount}>
      <p>
        <b>{headline(report)}</b>
      </p>
      {report.refused.length > 0 && (
        <ul className={styles["refused"]}>
          {report.refused.map(({ allocation: a, reason }) => (
            <li key={a.id} data-testid="refused-grant">
              <p>
                <b>{a.user || "Nobody"}</b> on {a.client}
                <span className="soft">
                  {" "}
                  · {a.application} · {a.product.name}{" "}
                  <span className="mono">{a.product.reference}</span>
                  {a.asked > 1 && ` · ${a.asked} licenses`} · {moment(a.firstAccess)}
                </span>
              </p>
              <p>
                <span className="soft">Why:</span> {whyOf(reason)}
              </p>
            </li>
          ))}
        </ul>
      )}
      {open.length > 0 && (
        <ul className="soft">
          {open.map((line) => (
            <li key={line}>{line}</li>
          ))}
        </ul>
      )}
    </div>
  );
}
