import { graphql } from "../gql";

export const GroupFields = graphql(`
  fragment GroupFields on TmrGroup {
    id
    name
    virtualSerial
    status
    quantity
    tmrId
    health
    sequence
    viewedAt
    linked
    clients
    orderedQuantity
    backends {
      position
      serial
      tmrId
      quantity
      cell
      inForce
      state
      address
      seenAt
    }
    servers {
      name
      role
      address
      seenAt
    }
    licenses {
      product
      name
      inForce
      conflict
      status
      quantity
      tmrId
      expiration
    }
    rollout {
      ...RolloutFields
    }
  }
`);

export const GroupsQuery = graphql(`
  query Groups($after: Cursor) {
    tmrGroups(first: 100, after: $after) {
      totalCount
      pageInfo {
        hasNextPage
        endCursor
      }
      edges {
        node {
          id
          name
          virtualSerial
          status
          quantity
          tmrId
          health
          clients
        }
      }
    }
  }
`);

export const GroupQuery = graphql(`
  query Group($id: ID!) {
    tmrGroup(id: $id) {
      ...GroupFields
      customer {
        id
        name
      }
      rollouts(first: 1) {
        edges {
          node {
            ...RolloutFields
          }
        }
      }
    }
  }
`);

export const GroupChanged = graphql(`
  subscription GroupChanged($id: ID!, $after: StreamPosition) {
    tmrGroupChanged(id: $id, after: $after) {
      position
      tmrGroup {
        ...GroupFields
      }
    }
  }
`);

export const ReplaceBackendMutation = graphql(`
  mutation ReplaceBackend($input: ReplaceBackendInput!) {
    replaceBackend(input: $input) {
      tmrGroup {
        id
      }
      replaced {
        id
        serial
      }
      container {
        id
        serial
      }
      rollout {
        ...RolloutFields
      }
    }
  }
`);
