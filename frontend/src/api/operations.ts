import { graphql } from "../gql";

export const ViewerQuery = graphql(`
  query Viewer {
    viewer {
      name
      email
      role
      organization {
        id
        name
        vendor
        customer
        environment
      }
    }
  }
`);

export const RolloutFields = graphql(`
  fragment RolloutFields on Rollout {
    id
    number
    state
    offline
    tmrId
    quantity
    blocker
    errorCode
    sequence
    startedBy
    createdAt
    finishedAt
    steps {
      position
      state
      note
      startedAt
      finishedAt
    }
  }
`);

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
  query Groups {
    tmrGroups(first: 100) {
      totalCount
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

export const RolloutChanged = graphql(`
  subscription RolloutChanged($id: ID!, $after: StreamPosition) {
    rolloutChanged(id: $id, after: $after) {
      position
      rollout {
        ...RolloutFields
      }
    }
  }
`);

export const ItemsQuery = graphql(`
  query Items {
    items(first: 100) {
      edges {
        node {
          id
          name
          quantity
          tmr
          product {
            id
            reference
            name
          }
        }
      }
    }
  }
`);

export const OrderMutation = graphql(`
  mutation Order($input: OrderInput!) {
    order(input: $input) {
      order {
        id
        number
        quantity
        tmrGroup {
          id
          orderedQuantity
        }
      }
    }
  }
`);

export const StartRolloutMutation = graphql(`
  mutation StartRollout($input: StartRolloutInput!) {
    startRollout(input: $input) {
      rollout {
        ...RolloutFields
      }
    }
  }
`);

export const RetryRolloutMutation = graphql(`
  mutation RetryRollout($input: RolloutInput!) {
    retryRollout(input: $input) {
      rollout {
        ...RolloutFields
      }
    }
  }
`);

export const AbortRolloutMutation = graphql(`
  mutation AbortRollout($input: RolloutInput!) {
    abortRollout(input: $input) {
      rollout {
        ...RolloutFields
      }
    }
  }
`);

export const ContainersQuery = graphql(`
  query Containers {
    containers(first: 100) {
      totalCount
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

export const ContainerUseQuery = graphql(`
  query ContainerUse($serial: String!) {
    container(serial: $serial) {
      id
      serial
      use {
        product
        name
        featureMap
        total
        taken
        free
        modes {
          mode
          handles
          licenses
          borrowed
        }
      }
    }
  }
`);

export const UsageQuery = graphql(`
  query Usage(
    $container: ID!
    $product: ID!
    $from: Time!
    $to: Time!
    $resolution: UsageResolution!
  ) {
    usage(
      container: $container
      product: $product
      from: $from
      to: $to
      resolution: $resolution
    ) {
      from
      to
      since
      points {
        start
        end
        complete
        peak
        average
        quantity
        fullSeconds
        users
        stations
        granted
        denied
      }
    }
    denials(first: 20, container: $container, product: $product) {
      totalCount
      edges {
        node {
          id
          at
          reason
          rule
          mode
          licenses
          client
          user
          application
        }
      }
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

export const ItemFields = graphql(`
  fragment ItemFields on Item {
    id
    name
    revision
    quantity
    activation
    expiration
    usagePeriod
    units
    issue
    featureMap
    maintenanceFrom
    maintenanceUntil
    minimumVersion
    text
    accessList
    linger
    hasProtectedData
    hasSecretData
    tmr
    product {
      id
      reference
      name
    }
  }
`);

export const CatalogQuery = graphql(`
  query Catalog($after: Cursor) {
    items(first: 100, after: $after) {
      totalCount
      pageInfo {
        hasNextPage
        endCursor
      }
      edges {
        node {
          ...ItemFields
        }
      }
    }
  }
`);

export const ItemQuery = graphql(`
  query Item($id: ID!) {
    node(id: $id) {
      ... on Item {
        ...ItemFields
      }
    }
  }
`);

export const ProductsQuery = graphql(`
  query Products {
    products(first: 100) {
      edges {
        node {
          id
          reference
          name
        }
      }
    }
  }
`);

export const CreateItemMutation = graphql(`
  mutation CreateItem($input: CreateItemInput!) {
    createItem(input: $input) {
      item {
        ...ItemFields
      }
    }
  }
`);

export const UpdateItemMutation = graphql(`
  mutation UpdateItem($input: UpdateItemInput!) {
    updateItem(input: $input) {
      item {
        ...ItemFields
      }
    }
  }
`);

export const RenewItemMutation = graphql(`
  mutation RenewItem($input: RenewItemInput!) {
    renewItem(input: $input) {
      item {
        ...ItemFields
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
