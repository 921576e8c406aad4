import { Button } from "@mantine/core";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { useQuery } from "urql";
import { failureOf } from "../api/errors";
import { CatalogQuery } from "../api/items";
import { mayEditCatalog, NEEDS_ADMINISTRATOR } from "../shell/roles";
import { Empty, FailureNote } from "../ui/note";
import { useTitle } from "../ui/title";
import { Wait } from "../ui/wait";
import styles from "./items.module.css";
import { summary } from "./options";

const route = getRouteApi("/$side/$organization");

/** One page of items; the next one follows it when it is asked for. */
function Page({ after, onMore }: { after: string | null; onMore?: (cursor: string) => void }) {
  const params = route.useParams();
  const { viewer } = route.useRouteContext();
  const [{ data, error }, refetch] = useQuery({
    query: CatalogQuery,
    variables: { after },
    requestPolicy: "cache-and-network",
  });
  const items = (data?.items.edges ?? []).flatMap((edge) => (edge?.node ? [edge.node] : []));
  const next = data?.items.pageInfo;
  return (
    <>
      {error && (
        <FailureNote
          title="The items could not be loaded"
          failure={failureOf(error)}
          onRetry={() => refetch({ requestPolicy: "network-only" })}
        />
      )}
      {!data && !error && <Wait heights={[56, 56, 56]} label="Loading the items" />}
      {data && items.length === 0 && after === null && (
        <Empty title="No items yet">
          <p className="soft">
            An item is what is ordered: a product with the options of its licenses.
          </p>
          {viewer.organization.vendor && mayEditCatalog(viewer.role) && (
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
      {items.length > 0 && (
        <ul className={styles["list"]} aria-label={after === null ? "Items" : "More items"}>
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
                  {item.quantity === 0 ? "Local only" : `${item.quantity} licenses`}
                </span>
                <span className="soft">{summary(item).join(" · ") || "No other options"}</span>
              </Link>
            </li>
          ))}
        </ul>
      )}
      {onMore && next?.hasNextPage && next.endCursor && (
        <Button
          variant="default"
          className={styles["more"]}
          onClick={() => onMore(next.endCursor ?? "")}
        >
          Show more
        </Button>
      )}
    </>
  );
}

export function ItemsPage() {
  useTitle("Items");
  const params = route.useParams();
  const { viewer } = route.useRouteContext();
  const [cursors, setCursors] = useState<(string | null)[]>([null]);
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
      {cursors.map((after, i) => (
        <Page
          key={after ?? ""}
          after={after}
          {...(i === cursors.length - 1
            ? { onMore: (cursor: string) => setCursors((now) => [...now, cursor]) }
            : {})}
        />
      ))}
    </div>
  );
}
