import { Scroll } from "../ui/scroll";
import { moment } from "../ui/time";
import { type Point, sentence, shape, summary } from "./model";
import styles from "./page.module.css";

const LANE = 32;

/** The peak of each point, the quantity as a dashed line, and denials below. */
export function Chart({
  points,
  from,
  to,
}: {
  points: readonly Point[];
  from: string;
  to: string;
}) {
  const s = shape(points, from, to);
  return (
    <svg
      className={styles["chart"]}
      viewBox={`0 -4 ${s.width} ${s.height + LANE + 8}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={sentence(summary(points))}
      data-testid="usage-chart"
    >
      <path className={styles["taken"]} d={s.area} />
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
