import { Button, FileInput, NativeSelect, Switch, Textarea, TextInput } from "@mantine/core";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { Controller, type UseFormReturn, useForm, useWatch } from "react-hook-form";
import type { Failure } from "../api/errors";
import { FailureNote } from "../ui/note";
import { Scroll } from "../ui/scroll";
import { UnsavedGuard } from "../ui/unsaved";
import styles from "./items.module.css";
import {
  changedFields,
  type Field,
  type Item,
  inWords,
  LABELS,
  MOST_DATA,
  mistake,
  switches,
  type TextField,
  type Values,
} from "./options";

export interface Choice {
  value: string;
  label: string;
}

export interface ItemFormProps {
  /** What is stored; its data is only said to be there. */
  stored: Values;
  has: Pick<Item, "hasProtectedData" | "hasSecretData">;
  /** The products to choose from, for a new item. */
  products?: Choice[];
  readOnly: boolean;
  /** Null: it is saved. */
  save: (values: Values, product: string) => Promise<Failure | null>;
  /** Shows what is stored by now, after somebody else has changed it. */
  onReload?: (() => void) | undefined;
}

/** The explanation below, so that the fields of a row stand in line. */
const ORDER = ["label", "input", "error", "description"] as const;

/** In Base64, as the platform takes data. */
async function base64(file: File): Promise<string> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  return btoa(Array.from(bytes, (byte) => String.fromCodePoint(byte)).join(""));
}

function DataField({
  form,
  name,
  has,
  readOnly,
  description,
}: {
  form: UseFormReturn<Values>;
  name: "protectedData" | "secretData";
  has: boolean;
  readOnly: boolean;
  description: string;
}) {
  return (
    <Controller
      control={form.control}
      name={name}
      render={({ field, fieldState }) => {
        const change = field.value;
        const state = change
          ? "base64" in change
            ? `${change.file} will be stored.`
            : "Will be removed."
          : has
            ? "Stored, and not shown."
            : "None.";
        return (
          <div className={styles["data"]}>
            <FileInput
              label={LABELS[name]}
              inputWrapperOrder={[...ORDER]}
              description={description}
              placeholder={has ? "Replace by a file" : "Choose a file"}
              disabled={readOnly}
              value={null}
              error={fieldState.error?.message}
              onChange={async (file) => {
                if (!file) return;
                if (file.size === 0 || file.size > MOST_DATA) {
                  form.setError(name, { message: `Choose a file of 1 to ${MOST_DATA} bytes.` });
                  return;
                }
                form.clearErrors(name);
                field.onChange({ file: file.name, base64: await base64(file) });
              }}
            />
            <p className="meta soft" data-testid={`${name}-state`}>
              {state}{" "}
              {!readOnly && change && (
                <Button
                  variant="default"
                  size="compact-xs"
                  onClick={() => field.onChange(null)}
                  aria-label={`Leave the ${LABELS[name].toLowerCase()} as it is`}
                >
                  Undo
                </Button>
              )}
              {!readOnly && !change && has && (
                <Button
                  variant="default"
                  size="compact-xs"
                  onClick={() => field.onChange({ remove: true })}
                  aria-label={`Remove the ${LABELS[name].toLowerCase()}`}
                >
                  Remove
                </Button>
              )}
            </p>
          </div>
        );
      }}
    />
  );
}

function Group({ title, children }: { title: string; children: ReactNode }) {
  return (
    <fieldset className={styles["group"]}>
      <legend>{title}</legend>
      {children}
    </fieldset>
  );
}

export function ItemForm({ stored, has, products, readOnly, save, onReload }: ItemFormProps) {
  const form = useForm<Values>({ defaultValues: stored });
  const [product, setProduct] = useState(products?.[0]?.value ?? "");
  const [failure, setFailure] = useState<Failure | null>(null);
  const shown = useRef(stored);
  useEffect(() => {
    const another = changedFields(shown.current, stored).length > 0;
    shown.current = stored;
    if (!another) return;
    form.reset(stored);
    setFailure(null);
  }, [form, stored]);

  const values = useWatch({ control: form.control }) as Values;
  const { errors, isSubmitting } = form.formState;
  const changed = changedFields(stored, values);
  const dirty = changed.length > 0 && !readOnly;

  const submit = form.handleSubmit(async (all) => {
    setFailure(null);
    const failed = await save(all, product);
    if (!failed) {
      form.reset({ ...all, protectedData: null, secretData: null });
      return;
    }
    const field = failed.details?.["field"];
    if (typeof field === "string" && field in LABELS) {
      form.setError(
        field as Field,
        { message: `${failed.message} ${failed.fix}`.trim() },
        { shouldFocus: true },
      );
    } else {
      setFailure(failed);
    }
  });

  const text = (name: TextField) => ({
    label: LABELS[name],
    readOnly,
    autoComplete: "off",
    inputWrapperOrder: [...ORDER],
    error: errors[name]?.message,
    ...form.register(name, { validate: (_value, all) => mistake(name, all) ?? true }),
  });
  const on = switches(values.featureMap);
  const taken = failure?.code === "CONFLICT" && "revision" in (failure.details ?? {});

  return (
    <form className={styles["form"]} onSubmit={submit} noValidate data-testid="item-form">
      <Group title="Article">
        {products && (
          <NativeSelect
            label="Product"
            data={products}
            value={product}
            onChange={(event) => setProduct(event.currentTarget.value)}
          />
        )}
        <TextInput {...text("name")} required data-testid="item-name" />
        <TextInput
          {...text("quantity")}
          inputMode="numeric"
          description="What an order suggests. 0: local only, for programs on the license server's own machine."
        />
        <Controller
          control={form.control}
          name="tmr"
          render={({ field, fieldState }) => (
            <Switch
              label={LABELS.tmr}
              description="TMR licenses have a quantity and no usage period."
              checked={field.value}
              disabled={readOnly}
              error={fieldState.error?.message}
              ref={field.ref}
              onBlur={field.onBlur}
              onChange={(event) => field.onChange(event.currentTarget.checked)}
            />
          )}
        />
      </Group>
      <Group title="Validity">
        <TextInput
          {...text("activation")}
          type="datetime-local"
          step={1}
          description="UTC. Empty: at once."
        />
        <TextInput
          {...text("expiration")}
          type="datetime-local"
          step={1}
          description="UTC. Empty: never."
        />
        <TextInput
          {...text("usagePeriod")}
          placeholder="90d"
          description="From the first use: 90d, 36h. Empty: without end."
        />
        <TextInput
          {...text("maintenanceFrom")}
          type="date"
          description="First release date of programs that may use it."
        />
        <TextInput
          {...text("maintenanceUntil")}
          type="date"
          description="Last release date; the whole day counts."
        />
        <TextInput
          {...text("minimumVersion")}
          placeholder="10.4.1"
          description="Of programs that may use it. Empty: any."
        />
      </Group>
      <Group title="Use">
        <TextInput
          {...text("units")}
          inputMode="numeric"
          placeholder="500"
          description="That each ordered license brings. Empty: not counted by units."
        />
        <TextInput
          {...text("featureMap")}
          description={
            on && on.length > 0
              ? `Switches that are on: ${on.join(", ")} of 0 to 31.`
              : "32 switches, as 0x5 or 5."
          }
        />
        <TextInput
          {...text("linger")}
          placeholder="90s"
          description="How long a released seat stays with its client, up to 7d."
        />
      </Group>
      <Group title="Who">
        <Textarea
          {...text("accessList")}
          className={styles["wide"] ?? ""}
          rows={4}
          resize="vertical"
          placeholder={"user:anna\nsubnet:10.1.0.0/16\n!host:kiosk"}
          description="One rule a line: user:, host:, subnet: or application:, with ! before it to deny. A denial wins; where one may, only those who match may. Empty: everybody."
        />
      </Group>
      <Group title="Data">
        <Textarea
          {...text("text")}
          className={styles["wide"] ?? ""}
          rows={3}
          resize="vertical"
          description="For people and programs, at most 2048 bytes."
        />
        <DataField
          form={form}
          name="protectedData"
          has={has.hasProtectedData}
          readOnly={readOnly}
          description="A file that programs with a license can read, at most 4096 bytes."
        />
        <DataField
          form={form}
          name="secretData"
          has={has.hasSecretData}
          readOnly={readOnly}
          description="A file that never leaves the containers; programs derive keys from it."
        />
      </Group>
      {failure && (
        <>
          <FailureNote
            title={taken ? "Somebody else has changed the item" : "The item was not saved"}
            failure={failure}
          />
          {taken && onReload && (
            <div className={styles["actions"]}>
              <Button
                variant="default"
                data-testid="reload-item"
                onClick={() => {
                  form.reset(stored);
                  setFailure(null);
                  onReload();
                }}
              >
                Discard mine and load the present one
              </Button>
            </div>
          )}
        </>
      )}
      {!readOnly && (
        <div className={styles["bar"]}>
          {dirty && (
            <Scroll label="What will change" low>
              <ul className={styles["changes"]} aria-label="What will change" data-testid="changes">
                {changed.map((field) => {
                  const there = field === "secretData" ? has.hasSecretData : has.hasProtectedData;
                  return (
                    <li key={field}>
                      <b>{LABELS[field]}</b>: {inWords(field, stored, there)} →{" "}
                      {inWords(field, values, there)}
                    </li>
                  );
                })}
              </ul>
            </Scroll>
          )}
          <div className={styles["actions"]}>
            {dirty && (
              <Button
                variant="default"
                onClick={() => {
                  form.reset(stored);
                  setFailure(null);
                }}
              >
                Discard
              </Button>
            )}
            <Button type="submit" loading={isSubmitting} disabled={!dirty} data-testid="save-item">
              {products ? "Make item" : "Save"}
            </Button>
          </div>
        </div>
      )}
      <UnsavedGuard dirty={dirty && !isSubmitting} />
    </form>
  );
}
