// A stand-in for the platform: the same schema, sign-in and streams over
// made-up data. `npm run mock` serves it for `npm run dev`; the browser tests
// start it on a free port with the built dashboard.
import { randomBytes, randomUUID } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { buildSchema, execute, GraphQLError, graphql, subscribe } from "graphql";
import { useServer as serve } from "graphql-ws/use/ws";
import { WebSocketServer } from "ws";
import { createAccounts } from "./accounts.mjs";
import { createContainers } from "./containers.mjs";
import { createRules } from "./rules.mjs";
import { createWorld, setItem } from "./world.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const schemaFolder = join(here, "../../graph/schema");
const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
};
export const PASSWORD = "correct horse";

let loaded;

function loadSchema() {
  if (loaded) return loaded;
  const files = readdirSync(schemaFolder).filter((f) => f.endsWith(".graphqls"));
  loaded = buildSchema(files.map((f) => readFileSync(join(schemaFolder, f), "utf8")).join("\n"));
  return loaded;
}

const failure = (code, message, details, fix) =>
  new GraphQLError(message, {
    extensions: { code, ...(details ? { details } : {}), ...(fix ? { fix } : {}) },
  });

/** Numbers a stream's messages as the platform does; one that is taken up again begins anew. */
async function* numbered(stream, field, shape) {
  let n = 0;
  for await (const value of stream) {
    n += 1;
    const place = { sequence: n, since: n === 1 ? null : n - 1, snapshot: n === 1 };
    yield { [field]: { ...shape(value[field]), ...place, position: `mock.${n}` } };
  }
}

function resolvers(world) {
  const group = (id) => {
    if (id === "tmr_broken") throw failure("INTERNAL", "something went wrong");
    return world.find(id);
  };
  const operator = (viewer) => {
    if (viewer.role === "VIEWER") throw failure("FORBIDDEN", "this needs the role operator");
  };
  const existing = (id) => {
    const found = group(id);
    if (!found) throw failure("NOT_FOUND", "there is no such TMR group");
    return found;
  };
  const rules = createRules(world, failure);
  world.rules = rules;
  world.accounts = createAccounts(world, failure);
  for (const g of world.groups) g.ruleSet = () => rules.newest(g.id);
  const ruled = ({ tmrGroup, container }) =>
    tmrGroup ? existing(tmrGroup).id : singles.existing(container).id;
  const singles = createContainers(world, failure);
  if (!world.singles) singles.all.length = 0;
  const containers = () => [
    ...world.groups.map((g) => g.container),
    ...singles.all.map(singles.view),
  ];
  const acting =
    (act) =>
    (input, { viewer }) => {
      operator(viewer);
      return act(input, { viewer });
    };
  singles.onRollout((rollout) => {
    world.topics.publish(`rollout ${rollout.id}`, { rolloutChanged: { ...rollout } });
  });
  const administrator = (viewer) => {
    if (viewer.role === "VIEWER") throw failure("FORBIDDEN", "you may not edit the catalog");
  };
  const itemAt = ({ item, revision }) => {
    const found = world.items.find((i) => i.id === item);
    if (!found) throw failure("NOT_FOUND", "there is no such item");
    if (found.revision !== revision) {
      throw failure("CONFLICT", "the item was changed meanwhile", { revision: found.revision });
    }
    return found;
  };
  const checked = (input) => {
    if (input.tmr && input.usagePeriod) {
      throw failure("INVALID_INPUT", "a TMR license has no usage period", { field: "usagePeriod" });
    }
    return input;
  };
  return {
    ...world.accounts.fields,
    viewer: (_, { viewer }) => ({ ...viewer, organization: world.acting ?? world.organization }),
    tmrGroups: () => world.connection(world.groups.map(world.view)),
    tmrGroup: ({ id }) => {
      const found = group(id);
      return found ? world.view(found) : null;
    },
    items: () => world.connection(world.items),
    products: () => world.connection([world.product]),
    node: ({ id }) => {
      const found = world.items.find((i) => i.id === id);
      if (!found) throw failure("NOT_FOUND", "there is no such thing");
      return found;
    },
    createItem: ({ input }, { viewer }) => {
      administrator(viewer);
      return { item: world.newItem(checked(input)) };
    },
    updateItem: ({ input }, { viewer }) => {
      administrator(viewer);
      const { item: _, revision: __, ...options } = input;
      const found = itemAt(input);
      checked({ ...found, ...options });
      setItem(found, options);
      found.revision += 1;
      return { item: found };
    },
    renewItem: ({ input }, { viewer }) => {
      administrator(viewer);
      const found = itemAt(input);
      found.issue += 1;
      found.revision += 1;
      return { item: found };
    },
    orders: () => world.connection(world.orders),
    containers: () => world.connection(containers()),
    container: ({ serial }) => {
      if (serial === "130-broken") throw failure("INTERNAL", "something went wrong");
      return containers().find((c) => c.serial === serial) ?? null;
    },
    usage: (question) => world.usage(question),
    denials: () => world.connection(world.denied()),
    credits: () => singles.credits(),
    registerContainer: acting(singles.registerContainer),
    decideContainer: acting(singles.decideContainer),
    returnLicenses: acting(singles.returnLicenses),
    revokeLicenses: acting(singles.revokeLicenses),
    moveLicenses: acting(singles.moveLicenses),
    rehostContainer: acting(singles.rehostContainer),
    offlineUpdate: acting(singles.offlineUpdate),
    certifyTime: acting(singles.certifyTime),
    startOfflineRollout: acting(({ input }, { viewer }) => {
      if (input.container) return singles.startOfflineRollout(input, viewer);
      throw failure("ROLLOUT_UP_TO_DATE", "everything that was ordered is rolled out");
    }),
    finishOfflineRollout: acting(({ input }) => singles.finishOfflineRollout(input)),
    order: ({ input }, { viewer }) => {
      operator(viewer);
      if (input.container) return singles.order(input);
      const found = existing(input.tmrGroup);
      if (input.quantity < 1 || input.quantity > 1_000_000) {
        throw failure("INVALID_INPUT", "quantity must be 1 to 1000000");
      }
      found.ordered += input.quantity;
      const order = {
        __typename: "Order",
        id: `ord_${randomUUID()}`,
        number: world.orders.length + 1,
        item: world.item,
        tmrGroup: () => world.view(found),
        quantity: input.quantity,
        rolledOut: false,
        createdAt: new Date().toISOString(),
      };
      world.orders.unshift(order);
      return { order };
    },
    startRollout: ({ input }, { viewer }) => {
      operator(viewer);
      if (input.container) return singles.startRollout(input, viewer);
      const found = existing(input.tmrGroup);
      if (found.ordered <= world.view(found).quantity) {
        throw failure(
          "ROLLOUT_UP_TO_DATE",
          "nothing was ordered that is not rolled out; order more first",
        );
      }
      return { rollout: world.startRollout(found, viewer) };
    },
    retryRollout: ({ input }) => {
      const found = world.findRollout(input.rollout);
      const failed = found.rollout.steps.find((s) => s.state === "FAILED");
      void world.run(found.group, found.rollout, failed.position);
      return { rollout: found.rollout };
    },
    abortRollout: ({ input }) => {
      const found = world.findRollout(input.rollout);
      found.rollout.finishedAt = new Date().toISOString();
      world.advance(found.group, found.rollout, { state: "ABORTED" });
      return { rollout: found.rollout };
    },
    releaseAllocation: ({ input }, { viewer }) => {
      operator(viewer);
      const allocation = world.release(input.allocation);
      if (!allocation) throw failure("CONFLICT", "the allocation has ended");
      return { allocation };
    },
    askAllocation: ({ input }, { viewer }) => {
      operator(viewer);
      const allocation = world.ask(input.allocation, input.text, viewer.name);
      if (!allocation) throw failure("CONFLICT", "the allocation has ended");
      return { allocation };
    },
    ruleSet: (input) => rules.at(ruled(input), input.version),
    checkRules: acting((input) => {
      ruled(input);
      return rules.check(input.text);
    }),
    saveRules: acting(({ input }, { viewer }) => rules.save(ruled(input), input, viewer.name)),
    replaceBackend: acting(({ input }, { viewer }) => {
      const found = world.groups.find((g) => g.serials.includes(input.backend));
      if (!found) throw failure("INVALID_INPUT", "the container is no backend of a TMR group");
      const serial = [...input.request.matchAll(/^Container: ([^;]+)/gm)]
        .map((m) => m[1])
        .find((s) => !found.serials.includes(s));
      if (serial === "130-5001") {
        throw failure(
          "CONFLICT",
          `there is a container ${serial} already`,
          null,
          "create a new container with another serial number",
        );
      }
      const rollout = world.replaceBackend(found, input.backend, serial, viewer);
      const plain = { __typename: "Container" };
      return {
        tmrGroup: world.view(found),
        replaced: { ...plain, id: `con_${input.backend}`, serial: input.backend },
        container: { ...plain, id: `con_${serial}`, serial },
        rollout: input.byFiles ? null : rollout,
      };
    }),
    tmrGroupChanged: ({ id }) =>
      numbered(world.groupStream(existing(id)), "tmrGroupChanged", (tmrGroup) => ({ tmrGroup })),
    rolloutChanged: ({ id }) =>
      numbered(
        world.rolloutStream((world.findRollout(id) ?? singles.rolloutAt(id)).rollout),
        "rolloutChanged",
        (rollout) => ({ rollout }),
      ),
    allocationsChanged: () =>
      numbered(world.allocationStream(), "allocationsChanged", (change) => change),
  };
}

async function body(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString() || "{}");
}

export function startMock({ port = 0, world = createWorld(), dist = join(here, "../dist") } = {}) {
  const schema = loadSchema();
  const rootValue = resolvers(world);
  const sessions = new Map();
  const members = new Map([
    [
      "olivia@meridian.example",
      {
        __typename: "Viewer",
        name: "Olivia Park",
        email: "olivia@meridian.example",
        role: "OWNER",
      },
    ],
    [
      "vera@meridian.example",
      { __typename: "Viewer", name: "Vera Lindt", email: "vera@meridian.example", role: "VIEWER" },
    ],
  ]);
  const viewerOf = (request) => {
    const match = /(?:^|; )session=([^;]+)/.exec(request.headers.cookie ?? "");
    return match ? sessions.get(match[1]) : undefined;
  };
  const json = (response, status, value, headers = {}) => {
    response.writeHead(status, {
      "content-type": "application/json",
      "x-request-id": randomUUID(),
      ...headers,
    });
    response.end(JSON.stringify(value));
  };

  async function auth(request, response) {
    if (request.url === "/auth/login" && request.method === "POST") {
      const { email, password } = await body(request);
      const member = members.get(email);
      if (!member || password !== PASSWORD) {
        return json(response, 401, {
          code: "UNAUTHENTICATED",
          message: "unknown e-mail address or wrong password",
        });
      }
      const id = randomUUID();
      sessions.set(id, member);
      return json(response, 200, world.secondFactor ? { secondFactor: true } : {}, {
        "set-cookie": `session=${id}; HttpOnly; SameSite=Lax; Path=/`,
      });
    }
    if (request.url === "/auth/logout") {
      const id = /session=([^;]+)/.exec(request.headers.cookie ?? "")?.[1];
      sessions.delete(id);
      return json(response, 200, {});
    }
    const viewer = viewerOf(request);
    if (request.url === "/auth/code") {
      const { code } = await body(request);
      return code === "123456"
        ? json(response, 200, {})
        : json(response, 401, {
            error: { code: "UNAUTHENTICATED", message: "the code is wrong", fix: "type it again" },
          });
    }
    if (request.url !== "/auth/session") {
      const input = request.method === "POST" ? await body(request) : null;
      const answer = world.accounts.rest(request.url, input, viewer);
      if (answer) return json(response, 200, answer);
    }
    return viewer
      ? json(response, 200, {
          name: viewer.name,
          email: viewer.email,
          role: viewer.role,
          organization: world.organization,
        })
      : json(response, 401, { code: "UNAUTHENTICATED", message: "sign in first" });
  }

  function files(request, response) {
    const path = normalize(new URL(request.url, "http://mock").pathname);
    const file = join(dist, path);
    const extension = extname(path);
    if (extension && extension !== ".html" && existsSync(file)) {
      response.writeHead(200, {
        "content-type": TYPES[extension] ?? "application/octet-stream",
        ...(path.startsWith("/assets/") ? { "cache-control": "max-age=31536000, immutable" } : {}),
      });
      return response.end(readFileSync(file));
    }
    if (extension || !existsSync(join(dist, "index.html"))) {
      response.writeHead(404);
      return response.end();
    }
    const nonce = randomBytes(16).toString("base64");
    response.writeHead(200, {
      "content-type": TYPES[".html"],
      "cache-control": "no-store",
      "content-security-policy": `default-src 'none'; script-src 'self' 'nonce-${nonce}'; style-src 'self' 'nonce-${nonce}'; img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'`,
    });
    return response.end(
      readFileSync(join(dist, "index.html"), "utf8").replaceAll("__CSP_NONCE__", nonce),
    );
  }

  async function handle(request, response) {
    if (request.url.startsWith("/auth/")) return auth(request, response);
    if (request.url === "/mock" && request.method === "POST") {
      const knobs = await body(request);
      if (knobs.burst) world.burst();
      else if (knobs.drop) for (const socket of sockets.clients) socket.terminate();
      else world.control(knobs);
      return json(response, 200, {});
    }
    if (request.url.startsWith("/graphql")) {
      const viewer = viewerOf(request);
      if (!viewer) {
        return json(response, 401, {
          errors: [{ message: "sign in first", extensions: { code: "UNAUTHENTICATED" } }],
        });
      }
      const { query, variables, operationName } = await body(request);
      const result = await graphql({
        schema,
        source: query,
        rootValue,
        contextValue: { viewer },
        variableValues: variables,
        operationName,
      });
      return json(response, 200, result);
    }
    return files(request, response);
  }

  const server = createServer((request, response) => {
    handle(request, response).catch((error) =>
      json(response, 500, { code: "INTERNAL", message: String(error) }),
    );
  });
  const sockets = new WebSocketServer({ server, path: "/graphql" });
  serve(
    {
      schema,
      execute,
      subscribe,
      roots: { subscription: rootValue },
      context: (ctx) => ({ viewer: viewerOf(ctx.extra.request) }),
      onConnect: (ctx) => viewerOf(ctx.extra.request) !== undefined,
    },
    sockets,
  );
  return new Promise((resolve) => {
    server.listen(port, "127.0.0.1", () => {
      resolve({
        url: `http://127.0.0.1:${server.address().port}`,
        world,
        stop: () => {
          world.stop();
          for (const socket of sockets.clients) socket.terminate();
          server.closeAllConnections();
          return new Promise((done) => server.close(done));
        },
      });
    });
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const world = createWorld({
    groups: Number(process.env.GROUPS_COUNT ?? 1),
    programs: Number(process.env.PROGRAMS ?? 12),
    singles: true,
  });
  const mock = await startMock({ port: Number(process.env.PORT ?? 4010), world });
  console.log(
    `${mock.url}  olivia@meridian.example or vera@meridian.example, password "${PASSWORD}"`,
  );
}
