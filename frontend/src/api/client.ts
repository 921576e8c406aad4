import { cacheExchange } from "@urql/exchange-graphcache";
import {
  type Client,
  createClient,
  fetchExchange,
  getOperationName,
  makeOperation,
  mapExchange,
  type Operation,
} from "urql";
import { failureOf } from "./errors";

/** Called when the platform says that the session has ended. */
export type OnSignedOut = () => void;

/** Called when the platform refuses something: what the pages know of the viewer may be old. */
export type OnForbidden = () => void;

/** The organization that the page is of, by its address; empty: of none. */
export function organizationOf(pathname: string): string {
  return /^\/[vc]\/([^/]+)/.exec(pathname)?.[1] ?? "";
}

/**
 * What a page does, it does for the organization that it shows, also after another
 * window has gone over to another one. Whom the session acts for is asked as it is.
 */
function forOrganization(operation: Operation): Operation {
  const organization = organizationOf(window.location.pathname);
  const { fetchOptions } = operation.context;
  if (organization === "" || getOperationName(operation.query) === "Viewer") return operation;
  const given = typeof fetchOptions === "function" ? fetchOptions() : fetchOptions;
  return makeOperation(operation.kind, operation, {
    ...operation.context,
    fetchOptions: { ...given, headers: { "Quorate-Organization": organization } },
  });
}

/**
 * The GraphQL client for everything but live streams, which do not pass through
 * the normalized cache: their order is what they are for.
 */
export function newClient(onSignedOut: OnSignedOut, onForbidden: OnForbidden): Client {
  return createClient({
    url: "/graphql",
    preferGetMethod: false,
    fetchOptions: { credentials: "same-origin" },
    exchanges: [
      mapExchange({
        onOperation: forOrganization,
        onError(error) {
          const { code } = failureOf(error);
          if (code === "UNAUTHENTICATED") onSignedOut();
          if (code === "FORBIDDEN") onForbidden();
        },
      }),
      cacheExchange({
        // Parts without an id of their own live in their parent.
        keys: {
          Viewer: () => null,
          Backend: () => null,
          TmrServer: () => null,
          TmrLicense: () => null,
          RolloutStep: () => null,
          ContainerLicense: () => null,
          Credit: () => null,
          ProductUse: () => null,
          ModeUse: () => null,
          UsageOverTime: () => null,
          UsagePoint: () => null,
          AllocationRemoval: () => null,
          AllocationNotice: () => null,
          Rule: () => null,
          RulesReport: () => null,
          RefusedGrant: () => null,
          ServerRules: () => null,
        },
        // A list does not know by itself that it has become longer.
        updates: {
          Mutation: {
            createItem: (_result, _input, cache) => {
              for (const field of cache.inspectFields("Query")) {
                if (field.fieldName === "items") cache.invalidate("Query", field.fieldKey);
              }
            },
          },
        },
      }),
      fetchExchange,
    ],
  });
}
