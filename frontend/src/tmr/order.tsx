import { zodResolver } from "@hookform/resolvers/zod";
import { Button, Checkbox, NativeSelect, Group as Row, TextInput } from "@mantine/core";
import { useState } from "react";
import { useForm, useWatch } from "react-hook-form";
import { useMutation, useQuery } from "urql";
import * as z from "zod/mini";
import { type Connection, useAll } from "../api/all";
import { CreditsQuery } from "../api/containers";
import { type Failure, failureOf } from "../api/errors";
import { newKey } from "../api/key";
import { ItemsQuery, OrderMutation } from "../api/orders";
import type { ItemsQuery as Page } from "../gql/graphql";
import { count } from "../ui/count";
import { Dialog } from "../ui/dialog";
import { FailureNote } from "../ui/note";
import { Wait } from "../ui/wait";

const MOST = 1_000_000;
const WHOLE = `Enter a whole number, 1 to ${count(MOST)}.`;

const schema = z.object({
  item: z.string().check(z.minLength(1, "Choose an item.")),
  quantity: z
    .string()
    .check(
      z.refine(
        (text) => /^\d+$/.test(text.trim()) && Number(text) >= 1 && Number(text) <= MOST,
        WHOLE,
      ),
    ),
});

/** What is ordered for: exactly one of the two ids is there. */
export type OrderTarget = {
  name: string;
  ordered: number;
  /** The id of its customer; null: the vendor itself. */
  customer: string | null;
  /** Whether the viewer may buy, as the vendor does; else only take what came back. */
  mayBuy: boolean;
} & ({ tmrGroup: string; container?: undefined } | { container: string; tmrGroup?: undefined });

interface Choice {
  id: string;
  label: string;
  /** How many licenses of its product came back and can be ordered without buying. */
  credit: number;
}

function OrderForm({
  target,
  items,
  onDone,
}: {
  target: OrderTarget;
  items: Choice[];
  onDone: () => void;
}) {
  const [, order] = useMutation(OrderMutation);
  const [failure, setFailure] = useState<Failure | null>(null);
  // One key per dialog: a repeat after a lost answer orders nothing twice.
  const [key, setKey] = useState(newKey);
  const form = useForm({
    resolver: zodResolver(schema),
    defaultValues: { item: items[0]?.id ?? "", quantity: "10" },
  });
  const { errors, isSubmitting } = form.formState;
  const quantity = Number(useWatch({ control: form.control, name: "quantity" }));
  const chosen = useWatch({ control: form.control, name: "item" });
  const credit = items.find((item) => item.id === chosen)?.credit ?? 0;
  const [wanted, setWanted] = useState(false);
  const credited = credit > 0 && (wanted || !target.mayBuy);

  const submit = form.handleSubmit(async (values) => {
    setFailure(null);
    const result = await order({
      input: {
        item: values.item,
        ...(target.container === undefined
          ? { tmrGroup: target.tmrGroup }
          : { container: target.container }),
        quantity: Number(values.quantity),
        credit: credited,
        idempotencyKey: key,
      },
    });
    if (!result.error) return onDone();
    const failed = failureOf(result.error);
    // An answer ends the attempt that the key stands for; silence does not.
    if (failed.code !== "NETWORK") setKey(newKey());
    setFailure(failed);
  });

  return (
    <form onSubmit={submit} noValidate style={{ display: "grid", gap: 16 }}>
      <NativeSelect
        label="Item"
        data={items.map((item) => ({ value: item.id, label: item.label }))}
        error={errors.item?.message}
        {...form.register("item")}
      />
      <TextInput
        label="Licenses to add"
        inputMode="numeric"
        autoComplete="off"
        data-autofocus
        data-testid="order-quantity"
        error={errors.quantity?.message}
        {...form.register("quantity")}
      />
      {credit > 0 && (
        <Checkbox
          label="Take licenses that came back"
          description={`${count(credit)} of this product can be ordered without buying.`}
          checked={credited}
          disabled={!target.mayBuy}
          onChange={(event) => setWanted(event.currentTarget.checked)}
          data-testid="order-credit"
        />
      )}
      <p className="soft">
        {quantity >= 1 && Number.isInteger(quantity)
          ? `Ordered: ${count(target.ordered)} → ${count(target.ordered + quantity)}. `
          : ""}
        They are usable once they are rolled out.
      </p>
      {failure && <FailureNote title="The order was not taken" failure={failure} />}
      <Row justify="flex-end" gap={8}>
        <Button variant="default" onClick={onDone}>
          Cancel
        </Button>
        <Button type="submit" loading={isSubmitting} data-testid="order-submit">
          Order
        </Button>
      </Row>
    </form>
  );
}

type Listed = NonNullable<NonNullable<NonNullable<Page["items"]["edges"]>[number]>["node"]>;

function itemsOf(data: Page): Connection<Listed> {
  return data.items;
}

function OrderBody({ target, onDone }: { target: OrderTarget; onDone: () => void }) {
  const { all, failure, refetch } = useAll(ItemsQuery, itemsOf);
  const [credits] = useQuery({ query: CreditsQuery, requestPolicy: "cache-and-network" });
  if (failure && !all) {
    return (
      <FailureNote title="The items could not be loaded" failure={failure} onRetry={refetch} />
    );
  }
  if (!all || (!credits.data && !credits.error)) {
    return <Wait heights={[56, 56, 32]} label="Loading the items" />;
  }
  const creditOf = (product: string) =>
    (credits.data?.credits ?? [])
      .filter((c) => c.product.id === product && (c.customer?.id ?? null) === target.customer)
      .reduce((n, c) => n + c.quantity, 0);
  const fit = all.filter((item) => item.tmr || target.container !== undefined);
  const items = fit
    .map((item) => ({
      id: item.id,
      label: `${item.name} · ${item.product.reference}`,
      credit: creditOf(item.product.id),
    }))
    .filter((item) => target.mayBuy || item.credit > 0);
  if (items.length === 0) {
    if (fit.length > 0) return <p>No licenses have come back. Ask the vendor for an order.</p>;
    return target.container === undefined ? (
      <p>No item may be rolled out on TMR groups. Allow it for an item first.</p>
    ) : (
      <p>There are no items yet. Make one first.</p>
    );
  }
  return <OrderForm target={target} items={items} onDone={onDone} />;
}

export function OrderDialog({
  target,
  opened,
  onClose,
}: {
  target: OrderTarget;
  opened: boolean;
  onClose: () => void;
}) {
  return (
    <Dialog opened={opened} onClose={onClose} title={`Order more for ${target.name}`}>
      <OrderBody target={target} onDone={onClose} />
    </Dialog>
  );
}
