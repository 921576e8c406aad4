// A made-up vendor with one or more TMR groups, a rollout through the seven
// stages, and programs that come and go. No rule of the product is decided
// here: it only produces what the pages show.

const CONTAINERS = ["130-1874829", "130-27845973", "130-3879234"];
const APPLICATIONS = ["chartproc", "studio", "solver", "printd"];
const CLIENTS = ["ws-0077", "ws-0142", "lap-551", "term-03", "ci-runner-9", "10.20.4.17"];
const USERS = ["a.meier", "j.okafor", "l.chen", "p.novak", "y.tanaka", "m.rossi", "svc-build"];
const STEPS = [1, 2, 3];

/** Values pushed to a topic reach each listener in order; none is dropped. */
class Topics {
  #listeners = new Map();

  publish(topic, value) {
    for (const listener of this.#listeners.get(topic) ?? []) listener(value);
  }

  async *listen(topic, first, last = () => false) {
    const waiting = [...first];
    let wake = () => {};
    const listener = (value) => {
      waiting.push(value);
      wake();
    };
    const all = this.#listeners.get(topic) ?? new Set();
    this.#listeners.set(topic, all.add(listener));
    try {
      for (;;) {
        while (waiting.length > 0) {
          const value = waiting.shift();
          yield value;
          if (last(value)) return;
        }
        await new Promise((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      all.delete(listener);
    }
  }
}

const ago = (ms) => new Date(Date.now() - ms).toISOString();

function secondHighest(ids) {
  const present = ids.filter((id) => id !== null).toSorted((a, b) => b - a);
  return present[1] ?? null;
}

function statusLine(ids, inForce) {
  return ids
    .map((id, i) => `${i + 1}:${id === null ? "-" : id === inForce ? `#${id}` : `(#${id})`}`)
    .join(" ");
}

/** The options of an item that has none. */
function plainItem() {
  return {
    revision: 1,
    quantity: 1,
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
    protectedDataName: null,
    hasSecretData: false,
    tmr: false,
  };
}

/** Writes an input's options into an item; data is only remembered to be there. */
export function setItem(item, { protectedData, secretData, featureMap, ...options }) {
  for (const [name, value] of Object.entries(options)) {
    if (name in item && name !== "product" && value !== undefined) item[name] = value;
  }
  item.accessList ??= [];
  if (featureMap !== undefined) item.featureMap = String(Number(featureMap ?? 0));
  if (protectedData !== undefined) item.hasProtectedData = protectedData !== null;
  if (secretData !== undefined) item.hasSecretData = secretData !== null;
}

export function createWorld({
  pace = 900,
  programs = 12,
  groups = 1,
  churn = true,
  singles = false,
} = {}) {
  const topics = new Topics();
  const organization = {
    __typename: "Organization",
    id: "org_0199a1b2-0000-7000-8000-000000000001",
    name: "Meridian Software",
    vendor: true,
    customer: true,
    environment: "LIVE",
    createdAt: ago(1e10),
  };
  const firm = {
    __typename: "Firm",
    id: "frm_01",
    code: 6000010,
    name: "Meridian",
    createdAt: ago(1e10),
  };
  const product = {
    __typename: "Product",
    id: "prd_01",
    code: 14,
    reference: "6000010:14",
    name: "Chart Processing",
    firm,
    publicKey: "",
    createdAt: ago(1e10),
  };
  const item = {
    __typename: "Item",
    id: "itm_01",
    name: "Chart Processing, network",
    product,
    ...plainItem(),
    quantity: 20,
    tmr: true,
    createdAt: ago(1e10),
  };
  const items = [item];
  const state = {
    pace,
    hold: 0,
    failNext: null,
    quantities: new Map([[7, 20]]),
    rolloutNumber: 0,
    orders: [],
  };

  function makeGroup(index) {
    const group = {
      __typename: "TmrGroup",
      id: `tmr_0199a1b2-0000-7000-8000-00000000000${index + 1}`,
      name: index === 0 ? "Production" : `Laboratory ${index}`,
      virtualSerial: index === 0 ? "131-4837572" : `131-483757${2 + index}`,
      held: [7, 7, 7],
      activating: [false, false, false],
      down: [false, false, false],
      servers: [
        { name: "tmr-a", role: "ACTIVE", address: "10.20.0.11:4000", seenAt: ago(300) },
        { name: "tmr-b", role: "STANDBY", address: "10.20.0.12:4000", seenAt: ago(400) },
      ],
      sequence: 1,
      ordered: 20,
      rollout: null,
      history: [],
      linked: true,
      createdAt: ago(1e9),
      customer: { ...organization, id: "org_02", name: "Acme Motors" },
      lastSeen: [ago(0), ago(0), ago(0)],
      serials: index === 0 ? [...CONTAINERS] : STEPS.map((n) => `130-77${n - 1}001`),
      ruleSet: () => null,
      serverRules: [{}, {}],
    };
    group.container = {
      __typename: "Container",
      id: `con_v${index}`,
      serial: group.virtualSerial,
      kind: "VIRTUAL",
      tmrGroup: () => view(group),
      position: null,
      updateCounter: 0,
      state: "UP_TO_DATE",
      manipulationSuspected: false,
      suspectReason: "",
      blockedAt: null,
      blockReason: "",
      linked: false,
      servers: [],
      customer: { ...organization, id: "org_02", name: "Acme Motors" },
      licenses: [],
      use: () => useOf(group),
      rollout: null,
      rollouts: () => connection([]),
      transfers: () => connection([]),
      createdAt: ago(1e9),
    };
    return group;
  }

  const all = Array.from({ length: groups }, (_, i) => makeGroup(i));

  const observed = (group) =>
    group.held.map((id, i) => (group.activating[i] || group.down[i] ? null : id));

  function quantityOf(group) {
    const force = secondHighest(observed(group));
    return force === null ? 0 : (state.quantities.get(force) ?? 0);
  }

  function view(group) {
    const ids = observed(group);
    const force = secondHighest(ids);
    const quantity = quantityOf(group);
    const present = ids.filter((id) => id !== null).length;
    const status = statusLine(ids, force);
    const unanimous = ids.every((id) => id === force);
    return {
      __typename: "TmrGroup",
      id: group.id,
      name: group.name,
      virtualSerial: group.virtualSerial,
      virtualContainer: group.container,
      status,
      quantity,
      tmrId: force,
      health: !group.linked
        ? "UNKNOWN"
        : present < 2
          ? "NO_MAJORITY"
          : unanimous
            ? "FULLY_REDUNDANT"
            : "NO_SPARE",
      sequence: group.sequence,
      viewedAt: new Date().toISOString(),
      linked: group.linked,
      clients: group === all[0] ? allocations.size : 0,
      orderedQuantity: group.ordered,
      customer: group.customer,
      createdAt: group.createdAt,
      ruleSet: group.ruleSet,
      servers: group.servers.map((s, i) => ({
        ...s,
        ...(s.role === "DOWN" ? {} : { seenAt: ago(350) }),
        rules: {
          digest: group.ruleSet()?.digest ?? "",
          ownFile: false,
          problem: "",
          ...group.serverRules[i],
        },
      })),
      backends: ids.map((id, i) => ({
        position: i + 1,
        serial: group.serials[i],
        tmrId: id,
        quantity: id === null ? null : state.quantities.get(id),
        cell: id === null ? "–" : `${state.quantities.get(id)}/#${id}`,
        inForce: id !== null && id === force,
        state: group.down[i] ? "ABSENT" : group.activating[i] ? "ACTIVATING" : "PRESENT",
        address: `10.20.${i + 1}.2${i + 1}:4000`,
        seenAt: group.down[i] ? group.lastSeen[i] : ago(280 + i * 110),
      })),
      licenses: [
        {
          product: "6000010:14",
          name: "Chart Processing",
          inForce: force !== null,
          conflict: false,
          status,
          quantity,
          tmrId: force,
          expiration: null,
        },
        {
          product: "6000010:67",
          name: "Print Server",
          inForce: present >= 2,
          conflict: false,
          status: statusLine(
            ids.map((id) => (id === null ? null : 5)),
            present >= 2 ? 5 : null,
          ),
          quantity: present >= 2 ? 8 : 0,
          tmrId: present >= 2 ? 5 : null,
          expiration: "2027-06-30T00:00:00Z",
        },
      ],
      rollout: group.rollout && !group.rollout.finishedAt ? { ...group.rollout } : null,
      rollouts: () => connection(group.history),
    };
  }

  function connection(nodes) {
    return {
      edges: nodes.map((node, i) => ({ node, cursor: String(i) })),
      pageInfo: { hasNextPage: false, hasPreviousPage: false },
      totalCount: nodes.length,
    };
  }

  function changed(group) {
    group.sequence += 1;
    topics.publish(`group ${group.id}`, { tmrGroupChanged: view(group) });
  }

  // ---- rollout ----

  function snapshot(rollout) {
    return { ...rollout, steps: rollout.steps.map((s) => ({ ...s })) };
  }

  function advance(group, rollout, change) {
    Object.assign(rollout, change);
    rollout.sequence += 1;
    topics.publish(`rollout ${rollout.id}`, { rolloutChanged: snapshot(rollout) });
  }

  function step(rollout, position, change) {
    Object.assign(rollout.steps[position - 1], change);
  }

  const wait = () =>
    state.pace === 0 ? Promise.resolve() : new Promise((r) => setTimeout(r, state.pace));
  const now = () => new Date().toISOString();

  async function run(group, rollout, from = 1) {
    if (from === 1) {
      if (rollout.state === "ABORTED") return; // before it began
      for (const [name, note] of [
        ["COLLECTING", "Waits for the fingerprints"],
        ["ISSUING", "Waits for the updates"],
        ["STAGING", "Update is being staged"],
      ]) {
        for (const s of rollout.steps) s.note = note;
        advance(group, rollout, { state: name });
        await wait();
        if (rollout.state === "ABORTED") return;
      }
    }
    for (const position of STEPS.filter((p) => p >= from)) {
      step(rollout, position, {
        state: "RUNNING",
        note: "Checks that the other two carry the license",
        startedAt: now(),
      });
      for (const later of STEPS.filter((p) => p > position)) {
        step(rollout, later, { state: "WAITING", note: `Waits for backend ${position}` });
      }
      advance(group, rollout, { state: "GUARDING", blocker: null, errorCode: null });
      await wait();
      if (rollout.state === "ABORTED") return;
      if (state.failNext === position) {
        state.failNext = null;
        step(rollout, position, {
          state: "FAILED",
          note: "No answer for 30 s after the update was sent",
        });
        for (const later of STEPS.filter((p) => p > position)) {
          step(rollout, later, { state: "HELD", note: `Held: backend ${position} failed` });
        }
        advance(group, rollout, {
          state: "HELD",
          blocker: `backend ${position} (${group.serials[position - 1]}) does not answer; start it, then retry`,
          errorCode: "BACKEND_ABSENT",
        });
        return;
      }
      step(rollout, position, { note: "Swaps the update in" });
      advance(group, rollout, { state: "ACTIVATING" });
      group.activating[position - 1] = true;
      changed(group);
      await wait();
      step(rollout, position, {
        state: "VERIFYING",
        note: "Checks that it serves the new license",
      });
      advance(group, rollout, { state: "CONFIRMING" });
      await wait();
      group.held[position - 1] = rollout.tmrId;
      group.activating[position - 1] = false;
      changed(group);
      figures();
      step(rollout, position, { state: "DONE", note: "Updated and verified", finishedAt: now() });
      advance(group, rollout, {});
      await wait();
    }
    rollout.finishedAt = now();
    advance(group, rollout, { state: "DONE" });
    changed(group);
  }

  function startRollout(group, viewer) {
    const last = Math.max(...group.held, ...group.history.map((r) => r.tmrId));
    state.rolloutNumber += 1;
    const rollout = {
      __typename: "Rollout",
      id: `rol_0199a1b2-0000-7000-8000-${String(state.rolloutNumber).padStart(12, "0")}`,
      number: state.rolloutNumber,
      tmrGroup: () => view(group),
      state: "QUEUED",
      offline: false,
      tmrId: last + 1,
      quantity: group.ordered,
      steps: STEPS.map((position) => ({
        position,
        state: "WAITING",
        note: "",
        startedAt: null,
        finishedAt: null,
      })),
      blocker: null,
      errorCode: null,
      sequence: 1,
      startedBy: viewer.name,
      createdAt: now(),
      finishedAt: null,
    };
    state.quantities.set(rollout.tmrId, rollout.quantity);
    group.rollout = rollout;
    group.history.unshift(rollout);
    setTimeout(() => void run(group, rollout), state.pace === 0 ? 0 : 100);
    return rollout;
  }

  /** The new one holds nothing until the rollout that begins with it. */
  function replaceBackend(group, old, serial, viewer) {
    const i = group.serials.indexOf(old);
    group.serials[i] = serial;
    group.held[i] = null;
    group.down[i] = false;
    changed(group);
    return startRollout(group, viewer);
  }

  // ---- allocations ----

  const allocations = new Map();
  let serial = 0;
  let denials = 3;

  function newAllocation(age = 0) {
    serial += 1;
    const mode = serial % 9 === 0 ? "NO_USER_LIMIT" : "USER_LIMIT";
    const allocation = {
      __typename: "Allocation",
      id: `alc_0199a1b2-0000-7000-8000-${String(serial).padStart(12, "0")}`,
      handle: `h${serial}`,
      container: all[0].container,
      product,
      mode,
      licenses: mode === "NO_USER_LIMIT" ? 0 : 1,
      asked: 1,
      borrowed: false,
      station: CLIENTS[serial % CLIENTS.length],
      removal: null,
      notice: null,
      seat: mode === "NO_USER_LIMIT" ? 0 : serial,
      client: CLIENTS[serial % CLIENTS.length],
      user: USERS[(serial * 3) % USERS.length],
      processId: 1200 + ((serial * 7919) % 60000),
      application: APPLICATIONS[serial % APPLICATIONS.length],
      state: "ACTIVE",
      firstAccess: ago(age),
      lastAccess: ago(age),
      accesses: 1,
      lastAccessAt: ago(Math.min(age, 900)),
      idleSince: serial % 5 === 0 ? ago(Math.min(age, 900)) : null,
      expiresAt: ago(-60_000),
      endedAt: null,
    };
    allocations.set(allocation.id, allocation);
    return allocation;
  }

  function useOf(group) {
    const total = quantityOf(group);
    const living = group === all[0] ? [...allocations.values()] : [];
    const taken = living.reduce((sum, a) => sum + a.licenses, 0);
    const modes = ["USER_LIMIT", "NO_USER_LIMIT"].map((mode) => {
      const handles = living.filter((a) => a.mode === mode);
      return {
        mode,
        handles: handles.length,
        licenses: handles.reduce((sum, a) => sum + a.licenses, 0),
        borrowed: 0,
      };
    });
    return [
      {
        product: product.reference,
        firm: firm.code,
        code: product.code,
        name: product.name,
        featureMap: "5",
        total,
        taken,
        free: Math.max(total - taken, 0),
        modes: modes.filter((m) => m.handles > 0),
      },
    ];
  }

  /** Points that rise and fall with the hour; in each sixth nothing was free and one was denied. */
  function usage({ from, to, resolution }) {
    const step = { MINUTE: 60_000, HOUR: 3_600_000, DAY: 86_400_000 }[resolution];
    const points = [];
    for (let at = Math.floor(Date.parse(from) / step) * step; at < Date.parse(to); at += step) {
      const n = Math.floor(at / step);
      const full = n % 6 === 0;
      points.push({
        start: new Date(at).toISOString(),
        end: new Date(at + step).toISOString(),
        complete: at + step <= Date.now(),
        peak: full ? 20 : 8 + (n % 6),
        average: full ? 15 : 6.5,
        quantity: 20,
        fullSeconds: full ? 60 : 0,
        users: 5,
        stations: 4,
        granted: 12,
        released: 11,
        expired: 1,
        removed: 0,
        denied: full ? 1 : 0,
      });
    }
    return { container: all[0].container, product, resolution, from, to, since: ago(1e9), points };
  }

  const denied = () =>
    [
      { reason: "NO_FREE_SEAT", rule: "" },
      { reason: "LIMIT_REACHED", rule: "product/cap guests 2" },
      { reason: "NOT_ALLOWED", rule: "global/deny host lab-*" },
    ].map((d, i) => ({
      __typename: "Denial",
      id: `den_${i}`,
      container: all[0].container,
      product,
      at: ago(60_000 * (i + 1)),
      mode: "USER_LIMIT",
      licenses: 1,
      client: CLIENTS[i],
      user: USERS[i],
      station: CLIENTS[i],
      application: APPLICATIONS[i],
      ...d,
    }));

  function change(upserted, removed, snapshotOf = false) {
    const total = quantityOf(all[0]);
    const taken = [...allocations.values()].reduce((sum, a) => sum + a.licenses, 0);
    return {
      snapshot: snapshotOf,
      total,
      taken,
      free: Math.max(0, total - taken),
      denials,
      upserted,
      removed,
    };
  }

  function figures() {
    topics.publish("allocations", change([], []));
  }

  async function* allocationStream() {
    let sequence = 1;
    const first = change(
      [...allocations.values()].map((a) => ({ ...a })),
      [],
      true,
    );
    for await (const value of topics.listen("allocations", [first])) {
      yield { allocationsChanged: { ...value, sequence } };
      sequence += 1;
    }
  }

  for (let i = 0; i < programs; i += 1) newAllocation(60_000 * (1 + ((i * 37) % 700)));

  let tick = 0;
  const timer = setInterval(() => {
    tick += 1;
    const upserted = [];
    const removed = [];
    for (const a of allocations.values()) {
      if ((tick + Number(a.handle.slice(1))) % 8 === 0) {
        const next = {
          ...a,
          lastAccessAt: now(),
          expiresAt: new Date(Date.now() + 60_000).toISOString(),
        };
        allocations.set(a.id, next);
        upserted.push(next);
      }
    }
    if (churn && tick % 24 === 0 && allocations.size > 3) {
      const [id] = allocations.keys();
      allocations.delete(id);
      removed.push(id);
    }
    if (churn && tick % 24 === 12) {
      const free =
        quantityOf(all[0]) - [...allocations.values()].reduce((s, a) => s + a.licenses, 0);
      if (free > 0) upserted.push(newAllocation());
      else denials += 1;
    }
    if (upserted.length + removed.length > 0)
      topics.publish("allocations", change(upserted, removed));
  }, 500);
  timer.unref();

  // ---- what the outside may do ----

  const find = (id) => all.find((g) => g.id === id || g.virtualSerial === id);

  return {
    topics,
    singles,
    organization,
    product,
    item,
    items,
    newItem: (input) => {
      const made = {
        __typename: "Item",
        id: `itm_0${items.length + 1}`,
        name: "",
        product,
        ...plainItem(),
        createdAt: new Date().toISOString(),
      };
      setItem(made, input);
      items.push(made);
      return made;
    },
    groups: all,
    find,
    view,
    connection,
    allocations,
    allocationStream,
    usage,
    denied,
    startRollout,
    replaceBackend,
    run,
    advance,
    orders: state.orders,
    groupStream: (group) => topics.listen(`group ${group.id}`, [{ tmrGroupChanged: view(group) }]),
    rolloutStream: (rollout) =>
      topics.listen(
        `rollout ${rollout.id}`,
        [{ rolloutChanged: snapshot(rollout) }],
        (v) => v.rolloutChanged.finishedAt !== null,
      ),
    findRollout: (id) =>
      all
        .flatMap((g) => g.history.map((rollout) => ({ group: g, rollout })))
        .find((x) => x.rollout.id === id),
    release(id) {
      const allocation = allocations.get(id);
      if (!allocation) return null;
      setTimeout(() => {
        allocations.delete(id);
        topics.publish("allocations", change([], [id]));
      }, 400);
      return allocation;
    },
    ask(id, text, by) {
      const allocation = allocations.get(id);
      if (!allocation) return null;
      const tell = (notice) => {
        allocations.set(id, { ...allocations.get(id), notice });
        topics.publish("allocations", change([allocations.get(id)], []));
      };
      const notice = { askedAt: ago(0), by, text, takenAt: null, code: "", message: "" };
      tell(notice);
      setTimeout(() => {
        if (allocations.has(id)) tell({ ...notice, takenAt: ago(0) });
      }, 400);
      return allocations.get(id);
    },
    /** Knobs for tests and screenshots. */
    control(knobs) {
      const group = all[0];
      if (knobs.pace !== undefined) state.pace = knobs.pace;
      if (knobs.failNext !== undefined) state.failNext = knobs.failNext;
      if (knobs.down !== undefined) {
        group.down = group.down.map((_, i) => knobs.down.includes(i + 1));
        group.lastSeen = group.lastSeen.map(() => now());
      }
      if (knobs.servers !== undefined) {
        group.servers = group.servers.map((s, i) => ({ ...s, role: knobs.servers[i] }));
      }
      if (knobs.linked !== undefined) group.linked = knobs.linked;
      if (knobs.programs !== undefined) {
        const added = [];
        while (allocations.size < knobs.programs) added.push(newAllocation(1000));
        topics.publish("allocations", change(added, []));
      }
      changed(group);
    },
    /** The seven stages published without a pause between them. */
    burst() {
      const group = all[0];
      state.quantities.set(8, 30);
      for (const i of [0, 1, 2]) {
        group.activating[i] = true;
        changed(group);
        group.activating[i] = false;
        group.held[i] = 8;
        changed(group);
      }
    },
    stop: () => clearInterval(timer),
  };
}
