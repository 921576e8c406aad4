import { count } from "../ui/count";
import { Scroll } from "../ui/scroll";
import { moment } from "../ui/time";
import { marks, type Point, sentence, shape, summary, ticks } from "./model";
import styles from "./page.module.css";

const LANE = 32;
/** Above the area, so that the line of the quantity is not cut. */
const HEAD = 4;

const clockOf = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const dayOf = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

export interface ChartProps {
  points: readonly Point[];
  from: string;
  to: string;
  /** Minutes between the marks below. */
  mark: number;
}

/** The peak of each point, the quantity as a dashed line, and denials below. */
export function Chart({ points, from, to, mark }: ChartProps) {
  const s = shape(points, from, to);
  const height = s.height + LANE + 2 * HEAD;
  const y = (n: number) => s.height - (n / s.most) * s.height;
  const levels = ticks(s.most);
  const name = mark < 1_440 ? clockOf : dayOf;
  return (
    <figure className={styles["figureBox"]}>
      <ul className={`${styles["legend"]} meta`} aria-hidden="true">
        <li data-kind="taken">Taken at most</li>
        <li data-kind="limit">Quantity</li>
        <li data-kind="denied">Denied</li>
      </ul>
      <div className={styles["plot"]}>
        <div className={`${styles["levels"]} meta soft`} aria-hidden="true">
          <span className={styles["widest"]}>{count(s.most)}</span>
          {levels.map((n) => (
            <span key={n} style={{ top: y(n) + HEAD }}>
              {count(n)}
            </span>
          ))}
        </div>
        <svg
          className={styles["chart"]}
          viewBox={`0 ${-HEAD} ${s.width} ${height}`}
          style={{ height }}
          preserveAspectRatio="none"
          role="img"
          aria-label={sentence(summary(points))}
          data-testid="usage-chart"
        >
          {levels.map((n) => (
            <path key={n} className={styles["level"]} d={`M0 ${y(n)}H${s.width}`} />
          ))}
          <path className={styles["area"]} d={s.area} />
          <path className={styles["taken"]} d={s.taken} />
          <path className={styles["limit"]} d={s.limit} />
          {s.denials.map((d) => (
            <rect
              key={d.start}
              className={styles["denied"]}
              data-testid="denied-bar"
              x={d.x}
              y={s.height + LANE - d.height}
              width={d.width}
              height={d.height}
            >
              <title>{`${moment(d.start)}: ${d.count} denied`}</title>
            </rect>
          ))}
        </svg>
        <div className={`${styles["times"]} meta soft`} aria-hidden="true">
          {marks(from, to, mark).map(({ at, x }) => (
            <span key={at} style={{ left: `${x}%` }}>
              {name.format(at)}
            </span>
          ))}
        </div>
      </div>
    </figure>
  );
}

export function PointsTable({ points }: { points: readonly Point[] }) {
  return (
    <Scroll label="Usage as a table">
      <table className={styles["table"]}>
        <thead>
          <tr>
            <th scope="col">From</th>
            {["Peak", "Average", "Quantity", "Users", "Stations", "Granted", "Denied"].map((h) => (
              <th key={h} scope="col" className={styles["number"]}>
                {h}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {points.toReversed().map((p) => (
            <tr key={p.start}>
              <td>{moment(p.start)}</td>
              <td className={styles["number"]}>{p.peak}</td>
              <td className={styles["number"]}>{p.average.toFixed(1)}</td>
              <td className={styles["number"]}>{p.quantity}</td>
              <td className={styles["number"]}>{p.users}</td>
              <td className={styles["number"]}>{p.stations}</td>
              <td className={styles["number"]}>{p.granted}</td>
              <td className={styles["number"]}>{p.denied}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}
