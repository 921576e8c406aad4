import { type All, type Connection, useAll } from "../api/all";
import { GroupsQuery } from "../api/groups";
import type { GroupsQuery as Page } from "../gql/graphql";

export type ListedGroup = NonNullable<
  NonNullable<NonNullable<Page["tmrGroups"]["edges"]>[number]>["node"]
>;

function groupsOf(data: Page): Connection<ListedGroup> {
  return data.tmrGroups;
}

export function useGroups(): All<ListedGroup> {
  return useAll(GroupsQuery, groupsOf);
}
