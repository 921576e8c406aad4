import { graphql } from "../gql";

export const ContainerFields = graphql(`
  fragment ContainerFields on Container {
    id
    serial
    kind
    position
    state
    manipulationSuspected
    suspectReason
    blockedAt
    blockReason
    linked
    updateCounter
    createdAt
    tmrGroup {
      id
      name
    }
    customer {
      id
      name
    }
    replacedBy {
      id
      serial
    }
    licenses {
      quantity
      waiting
      leaving
      product {
        id
        reference
        name
      }
      item {
        ...ItemFields
      }
    }
  }
`);

export const TransferFields = graphql(`
  fragment TransferFields on Transfer {
    id
    kind
    state
    quantity
    credited
    reason
    note
    requestedBy
    createdAt
    confirmedAt
    product {
      id
      reference
      name
    }
    toContainer {
      id
      serial
    }
  }
`);

export const AllContainersQuery = graphql(`
  query AllContainers($after: Cursor) {
    containers(first: 100, after: $after) {
      totalCount
      pageInfo {
        hasNextPage
        endCursor
      }
      edges {
        node {
          ...ContainerFields
        }
      }
    }
  }
`);

export const ContainerDetailsQuery = graphql(`
  query ContainerDetails($serial: String!) {
    container(serial: $serial) {
      ...ContainerFields
      rollout {
        ...RolloutFields
      }
      rollouts(first: 10) {
        totalCount
        edges {
          node {
            ...RolloutFields
          }
        }
      }
      transfers(first: 10) {
        totalCount
        edges {
          node {
            ...TransferFields
          }
        }
      }
    }
  }
`);

export const CreditsQuery = graphql(`
  query Credits {
    credits {
      quantity
      product {
        id
      }
      customer {
        id
      }
    }
  }
`);

export const RegisterContainerMutation = graphql(`
  mutation RegisterContainer($input: RegisterContainerInput!) {
    registerContainer(input: $input) {
      linkToken
      container {
        ...ContainerFields
      }
    }
  }
`);

export const DecideContainerMutation = graphql(`
  mutation DecideContainer($input: DecideContainerInput!) {
    decideContainer(input: $input) {
      container {
        ...ContainerFields
      }
    }
  }
`);

export const ReturnLicensesMutation = graphql(`
  mutation ReturnLicenses($input: TransferInput!) {
    returnLicenses(input: $input) {
      transfer {
        ...TransferFields
      }
    }
  }
`);

export const RevokeLicensesMutation = graphql(`
  mutation RevokeLicenses($input: TransferInput!) {
    revokeLicenses(input: $input) {
      transfer {
        ...TransferFields
      }
    }
  }
`);

export const MoveLicensesMutation = graphql(`
  mutation MoveLicenses($input: MoveLicensesInput!) {
    moveLicenses(input: $input) {
      transfer {
        ...TransferFields
      }
    }
  }
`);

export const RehostContainerMutation = graphql(`
  mutation RehostContainer($input: RehostContainerInput!) {
    rehostContainer(input: $input) {
      container {
        ...ContainerFields
      }
      transfers {
        id
        quantity
      }
    }
  }
`);

export const StartOfflineRolloutMutation = graphql(`
  mutation StartOfflineRollout($input: StartOfflineRolloutInput!) {
    startOfflineRollout(input: $input) {
      update
      rollout {
        ...RolloutFields
      }
    }
  }
`);

export const FinishOfflineRolloutMutation = graphql(`
  mutation FinishOfflineRollout($input: FinishOfflineRolloutInput!) {
    finishOfflineRollout(input: $input) {
      rollout {
        ...RolloutFields
      }
    }
  }
`);

export const OfflineUpdateQuery = graphql(`
  query OfflineUpdate($rollout: ID!) {
    offlineUpdate(rollout: $rollout)
  }
`);

export const CertifyTimeMutation = graphql(`
  mutation CertifyTime($input: CertifyTimeInput!) {
    certifyTime(input: $input) {
      update
      certifiedAt
      containers {
        id
        serial
      }
    }
  }
`);
