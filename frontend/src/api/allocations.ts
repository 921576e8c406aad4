import { graphql } from "../gql";

export const ContainersQuery = graphql(`
  query Containers($after: Cursor) {
    containers(first: 100, after: $after) {
      totalCount
      pageInfo {
        hasNextPage
        endCursor
      }
      edges {
        node {
          id
          serial
          kind
          tmrGroup {
            id
            name
          }
        }
      }
    }
  }
`);

export const ContainerQuery = graphql(`
  query Container($serial: String!) {
    container(serial: $serial) {
      id
      serial
      kind
      tmrGroup {
        id
        name
      }
    }
  }
`);

export const AllocationFields = graphql(`
  fragment AllocationFields on Allocation {
    id
    handle
    mode
    licenses
    asked
    borrowed
    seat
    client
    user
    station
    processId
    application
    state
    firstAccess
    lastAccess
    accesses
    lastAccessAt
    idleSince
    expiresAt
    removal {
      askedAt
      by
      refused
      code
      message
    }
    notice {
      askedAt
      by
      text
      takenAt
      code
      message
    }
    product {
      id
      reference
      name
    }
  }
`);

export const AllocationsChanged = graphql(`
  subscription AllocationsChanged($container: ID!, $after: StreamPosition) {
    allocationsChanged(container: $container, after: $after) {
      sequence
      since
      snapshot
      position
      total
      taken
      free
      denials
      upserted {
        ...AllocationFields
      }
      removed
    }
  }
`);

export const ReleaseAllocationMutation = graphql(`
  mutation ReleaseAllocation($input: ReleaseAllocationInput!) {
    releaseAllocation(input: $input) {
      allocation {
        id
        state
      }
    }
  }
`);

export const AskAllocationMutation = graphql(`
  mutation AskAllocation($input: AskAllocationInput!) {
    askAllocation(input: $input) {
      allocation {
        id
        notice {
          askedAt
          by
          text
          takenAt
          code
          message
        }
      }
    }
  }
`);
