import { Button } from "@mantine/core";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { useClient, useMutation, useQuery } from "urql";
import { type Connection, useAll } from "../api/all";
import { type Failure, failureOf } from "../api/errors";
import {
  CreateItemMutation,
  ItemQuery,
  ProductsQuery,
  RenewItemMutation,
  UpdateItemMutation,
} from "../api/items";
import { newKey } from "../api/key";
import { StartRolloutMutation } from "../api/rollouts";
import type { ItemQuery as ItemResult, ProductsQuery as Page } from "../gql/graphql";
import { NotFound } from "../shell/fallback";
import { mayEditCatalog, mayOperate, NEEDS_ADMINISTRATOR } from "../shell/roles";
import { useGroups } from "../tmr/use-groups";
import { Dialog } from "../ui/dialog";
import { Empty, FailureNote } from "../ui/note";
import { useTitle } from "../ui/title";
import { Wait } from "../ui/wait";
import { ItemForm } from "./form";
import styles from "./items.module.css";
import { createInput, type Item, NEW, updateInput, type Values, valuesOf } from "./options";

const organization = getRouteApi("/$side/$organization");
const route = getRouteApi("/$side/$organization/items/$item");

const VENDORS_OWN = "Items are the vendor's: only its administrators make and change them.";

const HEIGHTS = [120, 200, 120, 140] as const;

type Listed = NonNullable<NonNullable<NonNullable<Page["products"]["edges"]>[number]>["node"]>;

function productsOf(data: Page): Connection<Listed> {
  return data.products;
}

/** Why one can't change what is shown. */
function Lacking() {
  const { viewer } = organization.useRouteContext();
  return <p className="soft">{viewer.organization.vendor ? NEEDS_ADMINISTRATOR : VENDORS_OWN}</p>;
}

/** The form of a new item, for who may make one. */
function NewItem() {
  const params = organization.useParams();
  const navigate = useNavigate();
  const { all: products, failure, refetch } = useAll(ProductsQuery, productsOf);
  const [, create] = useMutation(CreateItemMutation);
  // A repeat after a lost answer makes nothing twice.
  const [key, setKey] = useState(newKey);

  const save = async (values: Values, product: string): Promise<Failure | null> => {
    const result = await create({
      input: { ...createInput(product, values), idempotencyKey: key },
    });
    if (!result.data) {
      const failed = failureOf(result.error);
      // An answer ends the attempt that the key stands for; silence does not.
      if (failed.code !== "NETWORK") setKey(newKey());
      return failed;
    }
    await navigate({
      to: "/$side/$organization/items/$item",
      params: { ...params, item: result.data.createItem.item.id },
      ignoreBlocker: true,
    });
    return null;
  };

  if (!products) {
    return failure ? (
      <FailureNote title="The products could not be loaded" failure={failure} onRetry={refetch} />
    ) : (
      <Wait heights={HEIGHTS} label="Loading the products" />
    );
  }
  if (products.length === 0) {
    return (
      <Empty title="No products yet">
        <p className="soft">An item is of a product: make one first, by the API.</p>
      </Empty>
    );
  }
  return (
    <ItemForm
      stored={NEW}
      has={{ hasProtectedData: false, hasSecretData: false }}
      products={products.map((p) => ({ value: p.id, label: `${p.name} · ${p.reference}` }))}
      readOnly={false}
      save={save}
    />
  );
}

export function NewItemPage() {
  useTitle("New item");
  const { viewer } = organization.useRouteContext();
  const mayEdit = mayEditCatalog(viewer.role) && viewer.organization.vendor;
  return (
    <div className={styles["page"]}>
      <h1>New item</h1>
      {mayEdit ? <NewItem /> : <Lacking />}
    </div>
  );
}

function renewed({ issue }: Pick<Item, "issue">): string {
  return issue === 0 ? "never renewed" : issue === 1 ? "renewed once" : `renewed ${issue} times`;
}

/** Lets the usage period and the unit counter begin anew, after asking. */
function Renew({ item, onDone }: { item: Item; onDone: (item: Item) => void }) {
  const [asking, setAsking] = useState(false);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [{ fetching }, renew] = useMutation(RenewItemMutation);
  const close = () => {
    setAsking(false);
    setFailure(null);
  };
  return (
    <>
      <Button variant="default" onClick={() => setAsking(true)} data-testid="renew-item">
        Renew
      </Button>
      <Dialog opened={asking} onClose={close} title={`Renew ${item.name}?`}>
        <div className={styles["dialog"]}>
          <p>
            With the next rollout, the usage period of its licenses begins anew, and no unit is
            taken yet. It was {renewed(item)}.
          </p>
          {failure && <FailureNote title="The item was not renewed" failure={failure} />}
          <div className={styles["actions"]}>
            <Button variant="default" data-autofocus onClick={close}>
              Keep
            </Button>
            <Button
              loading={fetching}
              data-testid="renew-confirm"
              onClick={async () => {
                const result = await renew({ input: { item: item.id, revision: item.revision } });
                if (!result.data) return setFailure(failureOf(result.error));
                onDone(result.data.renewItem.item);
                close();
              }}
            >
              Renew
            </Button>
          </div>
        </div>
      </Dialog>
    </>
  );
}

/** Changes reach licenses with a rollout, also without a new order. */
function RollOut({ item }: { item: Item }) {
  const { all: groups = [] } = useGroups();
  const [, start] = useMutation(StartRolloutMutation);
  const [busy, setBusy] = useState("");
  const [told, setTold] = useState<Record<string, string | Failure>>({});
  if (!item.tmr || groups.length === 0) return null;
  return (
    <section className={styles["section"]} aria-label="Roll out">
      <h2>Roll out</h2>
      <p className="soft">
        Licenses that are rolled out follow with the next rollout of their group; it needs no new
        order.
      </p>
      {groups.map((group) => {
        const word = told[group.id];
        return (
          <div key={group.id} className={styles["section"]}>
            <Button
              variant="default"
              loading={busy === group.id}
              onClick={async () => {
                setBusy(group.id);
                const result = await start({
                  input: { tmrGroup: group.id, idempotencyKey: newKey() },
                });
                setBusy("");
                const failure = result.error ? failureOf(result.error) : null;
                const outcome =
                  failure?.code === "ROLLOUT_UP_TO_DATE"
                    ? "There is nothing to roll out."
                    : (failure ?? "The rollout is on its way: see the group's page.");
                setTold((now) => ({ ...now, [group.id]: outcome }));
              }}
            >
              Roll out to {group.name}
            </Button>
            <span role="status">{typeof word === "string" ? word : ""}</span>
            {word && typeof word !== "string" && (
              <FailureNote title="The rollout was not started" failure={word} />
            )}
          </div>
        );
      })}
    </section>
  );
}

/** Null when the id is of something else, or of nothing. */
function itemOf(data: ItemResult | undefined): Item | null {
  return data?.node && "revision" in data.node ? (data.node as Item) : null;
}

export function ItemPage() {
  const { item: id } = route.useParams();
  const { viewer } = organization.useRouteContext();
  const client = useClient();
  const [{ data, error }, refetch] = useQuery({
    query: ItemQuery,
    variables: { id },
    requestPolicy: "network-only",
  });
  const [, update] = useMutation(UpdateItemMutation);
  // What the form began with: a change by somebody else does not slip into it,
  // it is a conflict when this one is saved.
  const [base, setBase] = useState<Item | null>(null);
  const found = itemOf(data);
  if (found && found.id === id && base?.id !== id) setBase(found);
  const item = base?.id === id ? base : null;
  const stored = useMemo(() => (item ? valuesOf(item) : null), [item]);
  useTitle(item?.name ?? "Item");

  if (!item || !stored) {
    if (error ? failureOf(error).code === "NOT_FOUND" : data && !found) return <NotFound />;
    return (
      <div className={styles["page"]}>
        <h1>Item</h1>
        {error ? (
          <FailureNote
            title="The item could not be loaded"
            failure={failureOf(error)}
            onRetry={() => refetch({ requestPolicy: "network-only" })}
          />
        ) : (
          <Wait heights={HEIGHTS} label="Loading the item" />
        )}
      </div>
    );
  }

  const mayEdit = mayEditCatalog(viewer.role) && viewer.organization.vendor;
  const save = async (values: Values): Promise<Failure | null> => {
    const result = await update({ input: updateInput(item, stored, values) });
    if (!result.data) return failureOf(result.error);
    setBase(result.data.updateItem.item);
    return null;
  };
  const reload = async () => {
    const fresh = await client
      .query(ItemQuery, { id }, { requestPolicy: "network-only" })
      .toPromise();
    const now = itemOf(fresh.data);
    if (now) setBase(now);
  };
  return (
    <div className={styles["page"]} data-testid="item-page" data-revision={item.revision}>
      <div className={styles["head"]}>
        <div>
          <h1>{item.name}</h1>
          <p className="soft">
            {item.product.name} <span className="mono">{item.product.reference}</span> · revision{" "}
            {item.revision} · {renewed(item)}
          </p>
        </div>
        {mayEdit && <Renew item={item} onDone={setBase} />}
      </div>
      {!mayEdit && <Lacking />}
      <ItemForm
        key={item.id}
        stored={stored}
        has={item}
        readOnly={!mayEdit}
        save={save}
        onReload={() => void reload()}
      />
      {mayOperate(viewer.role) && viewer.organization.vendor && <RollOut item={item} />}
    </div>
  );
}
