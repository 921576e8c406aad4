import { Button, Switch } from "@mantine/core";
import { count } from "../ui/count";
import { Empty } from "../ui/note";
import { Pill } from "../ui/pill";
import { day } from "../ui/time";
import styles from "./licenses.module.css";
import { type Group, unanimous } from "./rollout";

type License = Group["licenses"][number];

function State({ license }: { license: License }) {
  if (license.conflict) return <Pill tone="bad">Terms differ</Pill>;
  if (!license.inForce) return <Pill tone="bad">Not in force</Pill>;
  if (!unanimous(license.status)) return <Pill tone="warning">Not unanimous</Pill>;
  return <Pill tone="ok">In force</Pill>;
}

/** Whether a license needs a look: its three copies are not one. */
export function needsLook(license: License): boolean {
  return license.conflict || !license.inForce || !unanimous(license.status);
}

export interface LicensesProps {
  licenses: readonly License[];
  onlyNotUnanimous: boolean;
  onFilter: (only: boolean) => void;
}

export function Licenses({ licenses, onlyNotUnanimous, onFilter }: LicensesProps) {
  const shown = onlyNotUnanimous ? licenses.filter(needsLook) : licenses;
  const hidden = licenses.length - shown.length;
  return (
    <section aria-labelledby="licenses" className={styles["section"]}>
      <div className={styles["title"]}>
        <h2 id="licenses">Licenses</h2>
        <Switch
          size="xs"
          label="Only not unanimous"
          checked={onlyNotUnanimous}
          onChange={(event) => onFilter(event.currentTarget.checked)}
        />
      </div>
      {licenses.length === 0 ? (
        <Empty title="No licenses yet">
          <p className="soft">Order an item and start a rollout: its licenses are listed here.</p>
        </Empty>
      ) : shown.length === 0 ? (
        <Empty title="All licenses are unanimous">
          <p className="soft">
            The filter hides {hidden} {hidden === 1 ? "license" : "licenses"}.
          </p>
          <Button variant="default" onClick={() => onFilter(false)}>
            Show all
          </Button>
        </Empty>
      ) : (
        <table className={styles["table"]}>
          <thead>
            <tr>
              <th scope="col">Product</th>
              <th scope="col">State</th>
              <th scope="col">Status</th>
              <th scope="col" className={styles["number"]}>
                Quantity
              </th>
              <th scope="col" className={styles["number"]}>
                TMR-ID
              </th>
              <th scope="col">Expires</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((license) => (
              <tr key={license.product}>
                <td data-label="Product">
                  {license.name} <span className="mono soft">{license.product}</span>
                </td>
                <td data-label="State">
                  <State license={license} />
                </td>
                <td data-label="Status" className="mono">
                  {license.status}
                </td>
                <td data-label="Quantity" className={styles["number"]}>
                  {count(license.quantity)}
                </td>
                <td data-label="TMR-ID" className={`${styles["number"]} mono`}>
                  {license.tmrId == null ? "–" : `#${license.tmrId}`}
                </td>
                <td data-label="Expires">
                  {license.expiration ? day(license.expiration) : "Never"}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}
