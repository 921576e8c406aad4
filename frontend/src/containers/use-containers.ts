import { type All, type Connection, useAll } from "../api/all";
import { AllContainersQuery } from "../api/containers";
import type { AllContainersQuery as Page } from "../gql/graphql";
import type { Container } from "./model";

function containersOf(data: Page): Connection<Container> {
  return data.containers;
}

/** All containers, looked up again every now and then. */
export function useContainers(poll = true): All<Container> {
  return useAll(AllContainersQuery, containersOf, poll);
}
