import { Button } from "@mantine/core";
import { getRouteApi, Link } from "@tanstack/react-router";
import { type Connection, useAll } from "../api/all";
import { CatalogQuery } from "../api/items";
import type { CatalogQuery as Page } from "../gql/graphql";
import { mayEditCatalog, NEEDS_ADMINISTRATOR } from "../shell/roles";
import { count, plural } from "../ui/count";
import { Empty, FailureNote } from "../ui/note";
import { useTitle } from "../ui/title";
import { Wait } from "../ui/wait";
import styles from "./items.module.css";
import { summary } from "./options";

const route = getRouteApi("/$side/$organization");

type Listed = NonNullable<NonNullable<NonNullable<Page["items"]["edges"]>[number]>["node"]>;

function itemsOf(data: Page): Connection<Listed> {
  return data.items;
}

export function ItemsPage() {
  useTitle("Items");
  const params = route.useParams();
  const { viewer } = route.useRouteContext();
  const { all: items, total, failure, refetch } = useAll(CatalogQuery, itemsOf);
  const mayEdit = mayEditCatalog(viewer.role);
  return (
    <div className={styles["page"]}>
      <div className={styles["head"]}>
        <h1>Items</h1>
        {viewer.organization.vendor &&
          (mayEdit ? (
            <Button
              data-testid="new-item"
              renderRoot={(props) => (
                <Link to="/$side/$organization/items/new" params={params} {...props} />
              )}
            >
              New item
            </Button>
          ) : (
            <p className="meta soft">{NEEDS_ADMINISTRATOR}</p>
          ))}
      </div>
      {failure && (
        <FailureNote
          title={items ? "What is shown may be out of date" : "The items could not be loaded"}
          failure={failure}
          onRetry={refetch}
        />
      )}
      {!items && !failure && <Wait heights={[56, 56, 56]} label="Loading the items" />}
      {items && items.length < total && (
        <p className="soft">
          {count(items.length)} of {count(total)} are shown here; the others are in the API.
        </p>
      )}
      {items?.length === 0 && (
        <Empty title="No items yet">
          <p className="soft">
            An item is what is ordered: a product with the options of its licenses.
          </p>
          {viewer.organization.vendor && mayEdit && (
            <Button
              variant="default"
              renderRoot={(props) => (
                <Link to="/$side/$organization/items/new" params={params} {...props} />
              )}
            >
              New item
            </Button>
          )}
        </Empty>
      )}
      {items && items.length > 0 && (
        <ul className={styles["list"]} aria-label="Items">
          {items.map((item) => (
            <li key={item.id}>
              <Link
                to="/$side/$organization/items/$item"
                params={{ ...params, item: item.id }}
                className={styles["row"]}
                data-testid="item"
              >
                <span className={styles["name"]}>
                  <b>{item.name}</b>
                  <span className="soft">
                    {item.product.name} <span className="mono">{item.product.reference}</span>
                  </span>
                </span>
                <span className="figures">
                  {item.quantity === 0 ? "Local only" : plural(item.quantity, "license")}
                </span>
                <span className="soft">{summary(item).join(" · ") || "No other options"}</span>
              </Link>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
