import type { CreateItemInput, ItemFieldsFragment as Item, UpdateItemInput } from "../gql/graphql";

export type { Item };

/** What becomes of protected or secret data; `null` leaves it as it is. */
export type DataChange = null | { remove: true } | { file: string; base64: string };

/** An item as the form has it: texts, named as the API names them. */
export interface Values {
  name: string;
  quantity: string;
  tmr: boolean;
  activation: string;
  expiration: string;
  usagePeriod: string;
  units: string;
  featureMap: string;
  maintenanceFrom: string;
  maintenanceUntil: string;
  minimumVersion: string;
  text: string;
  accessList: string;
  linger: string;
  protectedData: DataChange;
  secretData: DataChange;
}

export type Field = keyof Values;

/** The fields that are typed. */
export type TextField = Exclude<Field, "tmr" | "protectedData" | "secretData">;

export const LABELS: Record<Field, string> = {
  name: "Name",
  quantity: "License quantity",
  tmr: "For TMR groups",
  activation: "Counts from",
  expiration: "Expires",
  usagePeriod: "Usage period",
  units: "Units",
  featureMap: "Features",
  maintenanceFrom: "Releases from",
  maintenanceUntil: "Releases until",
  minimumVersion: "Lowest version",
  text: "Text",
  accessList: "Access list",
  linger: "Linger time",
  protectedData: "Protected data",
  secretData: "Secret data",
};

export const MOST_DATA = 4096;

export const NEW: Values = {
  name: "",
  quantity: "1",
  tmr: false,
  activation: "",
  expiration: "",
  usagePeriod: "",
  units: "",
  featureMap: "0x0",
  maintenanceFrom: "",
  maintenanceUntil: "",
  minimumVersion: "",
  text: "",
  accessList: "",
  linger: "",
  protectedData: null,
  secretData: null,
};

const DAY = 24 * 60 * 60;

/** `7776000` → `90d`, `5400` → `1h30m`, `90` → `90s`. */
export function longText(seconds: number): string {
  if (seconds > 0 && seconds % DAY === 0) return `${seconds / DAY}d`;
  if (seconds < 120) return `${seconds}s`;
  const parts: [number, string][] = [
    [Math.floor(seconds / 3600), "h"],
    [Math.floor((seconds % 3600) / 60), "m"],
    [seconds % 60, "s"],
  ];
  return parts
    .filter(([n]) => n > 0)
    .map(([n, unit]) => `${n}${unit}`)
    .join("");
}

/** Seconds of `90d`, `1d12h`, `36h`, `1h30m`, `90s`; null for anything else. */
export function parseLong(text: string): number | null {
  const match = /^(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,9})s)?$/.exec(
    text.replaceAll(" ", ""),
  );
  if (!match?.[0]) return null;
  const [d, h, m, s] = match.slice(1).map((n) => Number(n ?? 0)) as [
    number,
    number,
    number,
    number,
  ];
  return d * DAY + h * 3600 + m * 60 + s;
}

/** `5` → `0x5`: masks are read in hexadecimal. */
export function hex(mask: string): string {
  return `0x${Number(mask).toString(16)}`;
}

/** The numbers of the switches that are on, from 0; null when the text is no mask. */
export function switches(mask: string): number[] | null {
  const text = mask.trim();
  if (!/^(0x[0-9a-f]{1,8}|\d{1,10})$/i.test(text)) return null;
  const n = Number(text);
  if (n > 0xffffffff) return null;
  return Array.from({ length: 32 }, (_, bit) => bit).filter(
    (bit) => Math.floor(n / 2 ** bit) % 2 === 1,
  );
}

function utc(at: unknown): string {
  return typeof at === "string" ? new Date(at).toISOString().slice(0, 19) : "";
}

export function valuesOf(item: Item): Values {
  return {
    name: item.name,
    quantity: String(item.quantity),
    tmr: item.tmr,
    activation: utc(item.activation),
    expiration: utc(item.expiration),
    usagePeriod: item.usagePeriod ? longText(item.usagePeriod) : "",
    units: item.units ?? "",
    featureMap: hex(item.featureMap),
    maintenanceFrom: utc(item.maintenanceFrom).slice(0, 10),
    maintenanceUntil: utc(item.maintenanceUntil).slice(0, 10),
    minimumVersion: item.minimumVersion ?? "",
    text: item.text ?? "",
    accessList: item.accessList.join("\n"),
    linger: item.linger ? longText(item.linger) : "",
    protectedData: null,
    secretData: null,
  };
}

/** What is different; times that only lost their seconds are not. */
export function changedFields(before: Values, after: Values): Field[] {
  const plain = (value: Values[Field]) =>
    typeof value === "string" ? value.trim().replace(/T(\d\d:\d\d)$/, "T$1:00") : value;
  return (Object.keys(LABELS) as Field[]).filter(
    (field) => plain(before[field]) !== plain(after[field]),
  );
}

/** What a text field can't hold, checked before anything is sent; the platform checks the rest. */
export function mistake(field: Field, values: Values): string | null {
  const value = values[field];
  if (typeof value !== "string") return null;
  const text = value.trim();
  switch (field) {
    case "name":
      return text === "" ? "Give the item a name." : null;
    case "quantity":
      return /^\d{1,10}$/.test(text) && Number(text) <= 2147483647
        ? null
        : "Enter a whole number, 0 to 2147483647.";
    case "usagePeriod":
    case "linger":
      return text === "" || parseLong(text) !== null ? null : "Write 90d, 36h or 90s.";
    case "units":
      return /^\d{0,16}$/.test(text) ? null : "Enter a whole number.";
    case "featureMap":
      return switches(text) ? null : "Write a number of 0 to 4294967295, or as 0x5.";
    default:
      return null;
  }
}

type Options = Omit<UpdateItemInput, "item" | "revision" | "clientMutationId">;

function time(text: string): string | null {
  const at = text.trim();
  if (at === "") return null;
  if (at.length === 10) return `${at}T00:00:00Z`;
  return at.length === 16 ? `${at}:00Z` : `${at}Z`;
}

function data(change: DataChange): string | null {
  return change && "base64" in change ? change.base64 : null;
}

/** A field as the API takes it; null removes the option. */
function optionOf(field: Field, values: Values): Options {
  const text = (name: TextField) => values[name].trim();
  switch (field) {
    case "name":
      return { name: text("name") };
    case "quantity":
      return { quantity: Number(text("quantity")) };
    case "tmr":
      return { tmr: values.tmr };
    case "activation":
    case "expiration":
    case "maintenanceFrom":
    case "maintenanceUntil":
      return { [field]: time(values[field]) };
    case "usagePeriod":
    case "linger":
      return { [field]: parseLong(values[field]) };
    case "units":
    case "minimumVersion":
    case "text":
      return { [field]: text(field) || null };
    case "featureMap":
      return { featureMap: text("featureMap").toLowerCase() };
    case "accessList":
      return {
        accessList: values.accessList
          .split("\n")
          .map((rule) => rule.trim())
          .filter((rule) => rule !== ""),
      };
    default:
      return { [field]: data(values[field]) };
  }
}

export function createInput(product: string, values: Values): CreateItemInput {
  const options = (Object.keys(LABELS) as Field[]).map((field) => optionOf(field, values));
  return Object.assign({ product, name: "" }, ...options) as CreateItemInput;
}

export function updateInput(item: Item, before: Values, after: Values): UpdateItemInput {
  const options = changedFields(before, after).map((field) => optionOf(field, after));
  return Object.assign({ item: item.id, revision: item.revision }, ...options) as UpdateItemInput;
}

/** A field in words, for the difference that is shown before saving. */
export function inWords(field: Field, values: Values, has: boolean): string {
  switch (field) {
    case "tmr":
      return values.tmr ? "yes" : "no";
    case "protectedData":
    case "secretData": {
      const change = values[field];
      if (change === null) return has ? "there" : "none";
      return "base64" in change ? `from ${change.file}` : "none";
    }
    case "quantity":
      return values.quantity.trim() === "0" ? "local only" : values.quantity;
    case "featureMap":
      return (
        switches(values.featureMap)
          ?.map((bit) => `bit ${bit}`)
          .join(", ") || "none"
      );
    case "accessList":
      return values.accessList.trim().split("\n").join(", ") || "everybody";
    case "activation":
    case "expiration":
      return values[field] ? `${values[field].replace("T", " ")} UTC` : "none";
    default:
      return values[field].trim() || "none";
  }
}

/** An item's options that are not as for any, in a few words. */
export function summary(item: Item): string[] {
  const values = valuesOf(item);
  const words: string[] = [];
  if (item.activation) words.push(`from ${values.activation.slice(0, 10)}`);
  if (item.expiration) words.push(`until ${values.expiration.slice(0, 10)}`);
  if (item.usagePeriod) words.push(`${values.usagePeriod} from first use`);
  if (item.units) words.push(`${item.units} units`);
  if (item.featureMap !== "0") words.push(`features ${values.featureMap}`);
  if (item.maintenanceFrom || item.maintenanceUntil) words.push("maintenance period");
  if (item.minimumVersion) words.push(`version ${item.minimumVersion} and later`);
  if (item.accessList.length > 0) words.push("access list");
  if (item.linger) words.push(`lingers ${values.linger}`);
  if (item.hasProtectedData) words.push("protected data");
  if (item.hasSecretData) words.push("secret data");
  if (item.tmr) words.push("TMR");
  return words;
}
