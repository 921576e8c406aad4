// Containers outside of TMR groups, for the mock: enough of their life for the
// pages to be shown and pressed. No rule of the product is decided here.
import { randomUUID } from "node:crypto";

const LABELS = { request: "FINGERPRINT", update: "UPDATE", receipt: "RECEIPT" };

/**
 * A file that looks as one of the product does, to a page that reads its headers.
 * @param {"request" | "update" | "receipt"} kind
 * @param {string[]} serials
 * @param {string | null} group
 */
export function offlineFile(kind, serials, group = null) {
  const label = LABELS[kind];
  return [
    `-----BEGIN QUORATE ${label}-----`,
    "Version: 1",
    `Kind: ${kind}`,
    ...(group ? [`Group: ${group}`] : []),
    ...serials.map((serial) => `Container: ${serial}; firm 6000010; number 1`),
    "",
    "AQIAgwAAAAAASdDEAAMAAAi9DnF1b3JhdGUtdXBkYXRlAQAACGwA",
    "=q3Jm0X",
    `-----END QUORATE ${label}-----`,
    "",
  ].join("\n");
}

const now = () => new Date().toISOString();
const ago = (days) => new Date(Date.now() - days * 86_400_000).toISOString();

/** The states that a list can show, one of each. */
function samples(world, acme) {
  const item = () => world.items[0];
  const license = (quantity, waiting = 0) => ({ item: item(), quantity, waiting, taken: [] });
  const base = {
    kind: "UNIVERSAL",
    suspectReason: "",
    blockedAt: null,
    blockReason: "",
    linked: false,
    updates: 1,
    customer: acme,
  };
  return [
    { ...base, serial: "130-5001", licenses: [license(20)], linked: true },
    { ...base, serial: "130-5002", licenses: [license(5, 3)] },
    { ...base, serial: "130-5003", licenses: [], updates: 0 },
    {
      ...base,
      serial: "130-5004",
      licenses: [license(12)],
      suspectReason: "its update counter of firm 6000010 is 2, and 3 was confirmed",
    },
    {
      ...base,
      serial: "130-5005",
      licenses: [],
      blockedAt: ago(3),
      blockReason: "replaced by 130-5001: the laptop was stolen",
      replacedBy: "130-5001",
    },
    { ...base, serial: "130-6001", licenses: [], customer: null, updates: 0, kind: "DONGLE" },
  ];
}

export function createContainers(world, failure) {
  const acme = { ...world.organization, id: "org_02", name: "Acme Motors" };
  const all = samples(world, acme).map((c, i) => ({
    ...c,
    rollouts: [],
    transfers: [],
    id: `con_s${i}`,
    createdAt: ago(90 - i),
  }));
  let credit = 4;
  let stream = () => {};

  const find = (id) => all.find((c) => c.id === id || c.serial === id);
  const existing = (id) => {
    const found = find(id);
    if (!found) throw failure("NOT_FOUND", `there is no container ${id}`);
    return found;
  };
  const open = (c) => c.rollouts.find((r) => !r.finishedAt) ?? null;
  const leaving = (c, of) =>
    c.transfers
      .filter((t) => t.product === of.item.product && t.state !== "CONFIRMED")
      .reduce((n, t) => n + t.quantity, 0);
  const due = (c) =>
    c.licenses.some((l) => l.waiting > 0) || c.transfers.some((t) => t.state === "REQUESTED");
  const state = (c) => {
    if (c.blockedAt) return "BLOCKED";
    if (c.suspectReason) return "SUSPECTED";
    if (open(c)?.state === "STAGING") return "AWAITING_RECEIPT";
    return due(c) || open(c) ? "UPDATE_DUE" : "UP_TO_DATE";
  };
  const view = (c) => ({
    __typename: "Container",
    id: c.id,
    serial: c.serial,
    kind: c.kind,
    tmrGroup: null,
    ruleSet: () => world.rules.newest(c.id),
    position: null,
    updateCounter: c.updates,
    state: state(c),
    manipulationSuspected: c.suspectReason !== "",
    suspectReason: c.suspectReason,
    blockedAt: c.blockedAt,
    blockReason: c.blockReason,
    replacedBy: () => (c.replacedBy ? view(existing(c.replacedBy)) : null),
    linked: c.linked,
    servers: c.linked
      ? [
          {
            name: "lic-1",
            role: "ACTIVE",
            address: "10.20.9.1:4100",
            seenAt: new Date().toISOString(),
            rules: { digest: world.rules.newest(c.id)?.digest ?? "", ownFile: false, problem: "" },
          },
        ]
      : [],
    customer: c.customer,
    createdAt: c.createdAt,
    licenses: c.licenses.map((l) => ({
      product: l.item.product,
      item: l.item,
      quantity: l.quantity,
      waiting: l.waiting,
      leaving: leaving(c, l),
    })),
    rollout: () => (open(c) ? rolloutView(c, open(c)) : null),
    rollouts: () => world.connection(c.rollouts.map((r) => rolloutView(c, r))),
    transfers: () => world.connection(c.transfers.map((t) => transferView(c, t))),
    allocations: () => world.connection([]),
  });
  const rolloutView = (c, r) => ({ ...r, container: () => view(c), tmrGroup: null });
  const transferView = (c, t) => ({
    ...t,
    container: () => view(c),
    toContainer: () => (t.to ? view(existing(t.to)) : null),
  });

  function usable(c) {
    if (c.blockedAt) {
      throw failure("CONTAINER_BLOCKED", `the container ${c.serial} was blocked: ${c.blockReason}`);
    }
    return c;
  }
  function begin(c, viewer, offline) {
    const rollout = {
      __typename: "Rollout",
      id: `rol_${randomUUID()}`,
      number: c.rollouts.length + 1,
      state: offline ? "STAGING" : "COLLECTING",
      offline,
      tmrId: 0,
      quantity: c.licenses.reduce((n, l) => n + l.quantity + l.waiting, 0),
      steps: [{ position: 1, state: "WAITING", note: "", startedAt: null, finishedAt: null }],
      blocker: null,
      errorCode: null,
      sequence: 1,
      startedBy: viewer.name,
      createdAt: now(),
      finishedAt: null,
    };
    c.rollouts.unshift(rollout);
    for (const t of c.transfers) if (t.state === "REQUESTED") t.state = "ISSUED";
    return rollout;
  }
  function finish(c, rollout) {
    rollout.state = "DONE";
    rollout.finishedAt = now();
    rollout.sequence += 1;
    c.updates += 1;
    for (const l of c.licenses) {
      l.quantity += l.waiting;
      l.waiting = 0;
    }
    for (const t of c.transfers.filter((x) => x.state === "ISSUED")) {
      t.state = "CONFIRMED";
      t.confirmedAt = now();
      t.credited = t.kind === "RETURN";
      if (t.credited) credit += t.quantity;
      const l = c.licenses.find((x) => x.item.product === t.product);
      l.quantity -= t.quantity;
      if (t.to) order(existing(t.to), l.item, t.quantity);
    }
    c.licenses = c.licenses.filter((l) => l.quantity + l.waiting > 0);
    stream(rollout);
  }
  function order(c, item, quantity) {
    const held = c.licenses.find((l) => l.item.product === item.product);
    if (held) held.waiting += quantity;
    else c.licenses.push({ item, quantity: 0, waiting: quantity });
  }
  function transfer(kind, input, viewer) {
    const c = usable(existing(input.container));
    const held = c.licenses.find((l) => l.item.product.id === input.product);
    const most = held ? held.quantity - leaving(c, held) : 0;
    if (input.quantity > most) {
      throw failure(
        "CONFLICT",
        `${most} licenses can leave ${c.serial}: those that are rolled out`,
      );
    }
    const made = {
      __typename: "Transfer",
      id: `trf_${randomUUID()}`,
      kind,
      state: "REQUESTED",
      product: held.item.product,
      item: held.item,
      quantity: input.quantity,
      to: input.to ?? null,
      credited: false,
      reason: input.reason,
      note: "",
      requestedBy: viewer.name,
      createdAt: now(),
      confirmedAt: null,
    };
    c.transfers.unshift(made);
    return { transfer: transferView(c, made) };
  }
  const serialIn = (text) => /^Container: ([^;]+);/m.exec(text)?.[1];
  const ofThis = (c, text) => {
    if (serialIn(text) !== c.serial) {
      throw failure("UPDATE_FOREIGN", `the file is of the container ${serialIn(text)}`);
    }
  };
  const rolloutAt = (id) => {
    const c = all.find((x) => x.rollouts.some((r) => r.id === id));
    return c ? { c, rollout: c.rollouts.find((r) => r.id === id) } : null;
  };
  const update = (c) => offlineFile("update", [c.serial]);

  return {
    existing,
    all,
    find,
    view,
    rolloutAt,
    credits: () => [{ product: world.product, customer: acme, quantity: credit }],
    order(input) {
      const c = usable(existing(input.container));
      const item = world.items.find((i) => i.id === input.item);
      if (input.credit) credit -= input.quantity;
      order(c, item, input.quantity);
      return {
        order: {
          __typename: "Order",
          id: `ord_${randomUUID()}`,
          number: 1,
          quantity: input.quantity,
          tmrGroup: null,
          container: () => view(c),
        },
      };
    },
    startRollout(input, viewer) {
      const c = usable(existing(input.container));
      if (!due(c)) throw failure("ROLLOUT_UP_TO_DATE", `everything for ${c.serial} is rolled out`);
      const rollout = begin(c, viewer, false);
      setTimeout(() => finish(c, rollout), 400).unref();
      return { rollout: rolloutView(c, rollout) };
    },
    registerContainer: ({ input }) => {
      const serial = serialIn(input.request);
      if (find(serial)) {
        throw failure(
          "CONFLICT",
          `the container ${serial} is there with other keys`,
          null,
          "create the container with another serial number, or re-host the lost one",
        );
      }
      const c = {
        ...samples(world, acme)[2],
        rollouts: [],
        transfers: [],
        id: `con_${randomUUID()}`,
        serial,
        customer: input.customer ? { ...acme, name: input.customer } : null,
        createdAt: now(),
      };
      all.unshift(c);
      return { container: view(c), linkToken: input.server ? "qlt_made-up-for-the-mock" : null };
    },
    decideContainer: ({ input }) => {
      const c = existing(input.container);
      if (input.decision === "ACCEPT") c.suspectReason = "";
      else {
        c.blockedAt = now();
        c.blockReason = input.note;
      }
      return { container: view(c) };
    },
    returnLicenses: ({ input }, { viewer }) => transfer("RETURN", input, viewer),
    revokeLicenses: ({ input }, { viewer }) => transfer("REVOKE", input, viewer),
    moveLicenses: ({ input }, { viewer }) => transfer("MOVE", input, viewer),
    rehostContainer: ({ input }) => {
      const c = existing(input.container);
      const to = usable(existing(input.replacement));
      for (const l of c.licenses) order(to, l.item, l.quantity + l.waiting);
      c.licenses = [];
      c.blockedAt = now();
      c.blockReason = `replaced by ${to.serial}: ${input.reason}`;
      c.replacedBy = to.serial;
      return { container: view(c), transfers: [] };
    },
    startOfflineRollout(input, viewer) {
      const c = usable(existing(input.container));
      ofThis(c, input.request);
      let rollout = open(c);
      if (!rollout) {
        if (!due(c))
          throw failure("ROLLOUT_UP_TO_DATE", `everything for ${c.serial} is rolled out`);
        rollout = begin(c, viewer, true);
      }
      return { rollout: rolloutView(c, rollout), update: update(c) };
    },
    finishOfflineRollout(input) {
      const { c, rollout } = rolloutAt(input.rollout);
      ofThis(c, input.receipt);
      finish(c, rollout);
      return { rollout: rolloutView(c, rollout) };
    },
    offlineUpdate: ({ rollout }) => update(rolloutAt(rollout).c),
    certifyTime: ({ input }) => {
      const serial = serialIn(input.request);
      const found = find(serial);
      return {
        existing,
        update: offlineFile("update", [serial]),
        certifiedAt: now(),
        containers: found ? [view(found)] : [],
      };
    },
    /** Each state of a rollout goes there. */
    onRollout: (listener) => {
      stream = listener;
    },
  };
}
