import { describe, expect, it } from "vitest";
import { itemSample } from "../test/samples";
import {
  changedFields,
  createInput,
  hex,
  inWords,
  longText,
  mistake,
  NEW,
  parseLong,
  summary,
  switches,
  updateInput,
  valuesOf,
} from "./options";

const full = itemSample({
  quantity: 0,
  activation: "2026-12-01T00:00:00Z",
  expiration: "2027-12-01T08:00:30Z",
  usagePeriod: 7_776_000,
  units: "9007199254740992",
  featureMap: "2147483649",
  maintenanceFrom: "2026-01-01T00:00:00Z",
  maintenanceUntil: "2026-12-31T00:00:00Z",
  minimumVersion: "10.4",
  text: "for ships",
  accessList: ["user:anna", "!host:kiosk"],
  linger: 90,
  hasSecretData: true,
});

describe("times that last", () => {
  it("are written as they are read", () => {
    for (const [seconds, text] of [
      [7_776_000, "90d"],
      [90, "90s"],
      [5_400, "1h30m"],
      [129_600, "36h"],
      [3_661, "1h1m1s"],
    ] as const) {
      expect(longText(seconds)).toBe(text);
      expect(parseLong(text)).toBe(seconds);
    }
    expect(parseLong("1d 12h")).toBe(129_600);
    for (const text of ["", "90", "long", "-1d", "1.5h", "1h1d"])
      expect(parseLong(text)).toBeNull();
  });
});

describe("feature maps", () => {
  it("are hexadecimal, and read in both ways", () => {
    expect(hex("2147483649")).toBe("0x80000001");
    expect(switches("0x80000001")).toEqual([0, 31]);
    expect(switches("5")).toEqual([0, 2]);
    for (const text of ["", "0x", "five", "4294967296", "-1"]) expect(switches(text)).toBeNull();
  });
});

describe("an item", () => {
  it("is the same after the form, whatever its options are", () => {
    for (const item of [full, itemSample()]) {
      expect(changedFields(valuesOf(item), valuesOf(item))).toEqual([]);
      const input = createInput("prd_1", valuesOf(item));
      const { id: _, ...rest } = item;
      expect(input).toMatchObject({
        product: "prd_1",
        name: rest.name,
        quantity: rest.quantity,
        activation: rest.activation,
        expiration: rest.expiration,
        usagePeriod: rest.usagePeriod,
        units: rest.units,
        featureMap: hex(rest.featureMap),
        maintenanceFrom: rest.maintenanceFrom,
        maintenanceUntil: rest.maintenanceUntil,
        minimumVersion: rest.minimumVersion,
        text: rest.text,
        accessList: rest.accessList,
        linger: rest.linger,
        protectedData: null,
        secretData: null,
      });
    }
  });

  it("sends what was changed and nothing else, null for what was taken away", () => {
    const before = valuesOf(full);
    expect(
      updateInput(full, before, {
        ...before,
        expiration: "",
        activation: "2026-12-01T00:00",
        units: "",
        accessList: " user:bob \n\n",
        protectedData: { file: "a.bin", base64: "QQ==" },
        secretData: { remove: true },
      }),
    ).toEqual({
      item: full.id,
      revision: full.revision,
      expiration: null,
      units: null,
      accessList: ["user:bob"],
      protectedData: "QQ==",
      secretData: null,
    });
  });

  it("is told in words", () => {
    expect(summary(full)).toContain("secret data");
    expect(summary(itemSample())).toEqual([]);
    expect(inWords("quantity", valuesOf(full), false)).toBe("local only");
    expect(inWords("secretData", valuesOf(full), true)).toBe("there");
    expect(inWords("expiration", valuesOf(full), false)).toBe("2027-12-01 08:00:30 UTC");
    expect(inWords("featureMap", valuesOf(full), false)).toBe("bit 0, bit 31");
  });
});

describe("mistakes", () => {
  it("are found before anything is sent", () => {
    for (const [field, text] of [
      ["name", " "],
      ["quantity", "-1"],
      ["quantity", "2147483648"],
      ["usagePeriod", "long"],
      ["units", "1.5"],
      ["featureMap", "0x100000000"],
      ["linger", "soon"],
    ] as const) {
      expect(mistake(field, { ...NEW, [field]: text }), `${field} ${text}`).not.toBeNull();
    }
    for (const field of ["quantity", "units", "featureMap", "linger", "tmr"] as const) {
      expect(mistake(field, NEW)).toBeNull();
    }
  });
});
