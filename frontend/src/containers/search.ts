import type { ContainerState } from "../gql/graphql";
import { STATES } from "./model";

/** What the address says about the list. */
export interface ContainersSearch {
  q?: string;
  state?: ContainerState;
}

export function containersSearch(search: Record<string, unknown>): ContainersSearch {
  const out: ContainersSearch = {};
  const { q, state } = search;
  if (typeof q === "string" && q !== "") out.q = q;
  if (typeof state === "string" && Object.hasOwn(STATES, state))
    out.state = state as ContainerState;
  return out;
}
