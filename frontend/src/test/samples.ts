import type { Allocation, Change } from "../allocations/store";
import type { Container, HeldLicense } from "../containers/model";
import type { Item } from "../items/options";
import type { Group, Rollout } from "../tmr/rollout";

export function rolloutSample(change: Partial<Rollout> = {}): Rollout {
  return {
    id: "rol_1",
    number: 1,
    state: "ACTIVATING",
    offline: false,
    tmrId: 8,
    quantity: 30,
    blocker: null,
    errorCode: null,
    sequence: 1,
    startedBy: "Olivia Park",
    createdAt: "2026-11-22T08:00:00Z",
    finishedAt: null,
    steps: [1, 2, 3].map((position) => ({
      position,
      state: position === 1 ? ("RUNNING" as const) : ("WAITING" as const),
      note: position === 1 ? "Swaps the update in" : "Waits for backend 1",
      startedAt: null,
      finishedAt: null,
    })),
    ...change,
  };
}

export function groupSample(change: Partial<Group> = {}): Group {
  return {
    id: "tmr_1",
    name: "Production",
    virtualSerial: "131-4837572",
    status: "1:#7 2:#7 3:#7",
    quantity: 20,
    tmrId: 7,
    health: "FULLY_REDUNDANT",
    sequence: 1,
    viewedAt: "2026-11-22T08:00:00Z",
    linked: true,
    clients: 12,
    orderedQuantity: 20,
    backends: [1, 2, 3].map((position) => ({
      position,
      serial: `130-${position}`,
      tmrId: 7,
      quantity: 20,
      cell: "20/#7",
      inForce: true,
      state: "PRESENT" as const,
      address: `10.0.0.${position}:4000`,
      seenAt: null,
    })),
    servers: [
      { name: "tmr-a", role: "ACTIVE", address: "10.0.1.1:4000", seenAt: null },
      { name: "tmr-b", role: "STANDBY", address: "10.0.1.2:4000", seenAt: null },
    ],
    licenses: [],
    rollout: null,
    ...change,
  };
}

export function allocationSample(id: string, change: Partial<Allocation> = {}): Allocation {
  return {
    id,
    handle: `h-${id}`,
    mode: "USER_LIMIT",
    licenses: 1,
    asked: 1,
    borrowed: false,
    station: "ws-0142",
    removal: null,
    notice: null,
    seat: 1,
    client: "ws-0077",
    user: "a.meier",
    processId: 4711,
    application: "chartproc",
    state: "ACTIVE",
    firstAccess: "2026-11-22T08:00:00Z",
    lastAccess: "2026-11-22T08:00:00Z",
    accesses: 1,
    lastAccessAt: "2026-11-22T08:00:00Z",
    idleSince: null,
    expiresAt: "2026-11-22T08:01:00Z",
    product: { id: "prd_1", reference: "6000010:14", name: "Chart Processing" },
    ...change,
  };
}

export function changeSample(change: Partial<Change> = {}): Change {
  return {
    sequence: 1,
    since: change.snapshot ? null : (change.sequence ?? 1) - 1,
    snapshot: false,
    position: `TEST.${change.sequence ?? 1}`,
    total: 20,
    taken: 2,
    free: 18,
    denials: 0,
    upserted: [],
    removed: [],
    ...change,
  };
}

export function itemSample(change: Partial<Item> = {}): Item {
  return {
    id: "itm_1",
    name: "Chart Processing, 20 users",
    revision: 3,
    quantity: 20,
    activation: null,
    expiration: null,
    usagePeriod: null,
    units: null,
    issue: 0,
    featureMap: "0",
    maintenanceFrom: null,
    maintenanceUntil: null,
    minimumVersion: null,
    text: null,
    accessList: [],
    linger: null,
    hasProtectedData: false,
    hasSecretData: false,
    tmr: false,
    product: { id: "prd_1", reference: "6000010:14", name: "Chart Processing" },
    ...change,
  };
}

export function containerSample(change: Partial<Container> = {}): Container {
  return {
    id: "con_1",
    serial: "130-1",
    kind: "UNIVERSAL",
    position: null,
    state: "UP_TO_DATE",
    manipulationSuspected: false,
    suspectReason: "",
    blockedAt: null,
    blockReason: "",
    linked: false,
    updateCounter: 1,
    createdAt: "2026-11-22T08:00:00Z",
    tmrGroup: null,
    customer: { id: "org_2", name: "Acme Motors" },
    replacedBy: null,
    licenses: [],
    ...change,
  };
}

export function licenseSample(change: Partial<HeldLicense> = {}): HeldLicense {
  const item = itemSample();
  return { quantity: 5, waiting: 0, leaving: 0, product: item.product, item, ...change };
}
