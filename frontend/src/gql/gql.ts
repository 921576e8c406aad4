/* eslint-disable */
import * as types from './graphql';
import type { TypedDocumentNode as DocumentNode } from '@graphql-typed-document-node/core';

/**
 * Map of all GraphQL operations in the project.
 *
 * This map has several performance disadvantages:
 * 1. It is not tree-shakeable, so it will include all operations in the project.
 * 2. It is not minifiable, so the string of a GraphQL query will be multiple times inside the bundle.
 * 3. It does not support dead code elimination, so it will add unused operations.
 *
 * Therefore it is highly recommended to use the babel or swc plugin for production.
 * Learn more about it here: https://the-guild.dev/graphql/codegen/plugins/presets/preset-client#reducing-bundle-size
 */
type Documents = {
    "\n  query Viewer {\n    viewer {\n      name\n      email\n      role\n      organization {\n        id\n        name\n        vendor\n        customer\n      }\n    }\n  }\n": typeof types.ViewerDocument,
    "\n  fragment RolloutFields on Rollout {\n    id\n    number\n    state\n    tmrId\n    quantity\n    blocker\n    errorCode\n    sequence\n    startedBy\n    createdAt\n    finishedAt\n    steps {\n      position\n      state\n      note\n      startedAt\n      finishedAt\n    }\n  }\n": typeof types.RolloutFieldsFragmentDoc,
    "\n  fragment GroupFields on TmrGroup {\n    id\n    name\n    virtualSerial\n    status\n    quantity\n    tmrId\n    health\n    sequence\n    viewedAt\n    linked\n    clients\n    orderedQuantity\n    backends {\n      position\n      serial\n      tmrId\n      quantity\n      cell\n      inForce\n      state\n      address\n      seenAt\n    }\n    servers {\n      name\n      role\n      address\n      seenAt\n    }\n    licenses {\n      product\n      name\n      inForce\n      conflict\n      status\n      quantity\n      tmrId\n      expiration\n    }\n    rollout {\n      ...RolloutFields\n    }\n  }\n": typeof types.GroupFieldsFragmentDoc,
    "\n  query Groups {\n    tmrGroups(first: 100) {\n      totalCount\n      edges {\n        node {\n          id\n          name\n          virtualSerial\n          status\n          quantity\n          tmrId\n          health\n          clients\n        }\n      }\n    }\n  }\n": typeof types.GroupsDocument,
    "\n  query Group($id: ID!) {\n    tmrGroup(id: $id) {\n      ...GroupFields\n      customer {\n        id\n        name\n      }\n      rollouts(first: 1) {\n        edges {\n          node {\n            ...RolloutFields\n          }\n        }\n      }\n    }\n  }\n": typeof types.GroupDocument,
    "\n  subscription GroupChanged($id: ID!) {\n    tmrGroupChanged(id: $id) {\n      ...GroupFields\n    }\n  }\n": typeof types.GroupChangedDocument,
    "\n  subscription RolloutChanged($id: ID!) {\n    rolloutChanged(id: $id) {\n      ...RolloutFields\n    }\n  }\n": typeof types.RolloutChangedDocument,
    "\n  query Items {\n    items(first: 100) {\n      edges {\n        node {\n          id\n          name\n          quantity\n          tmr\n          product {\n            id\n            reference\n            name\n          }\n        }\n      }\n    }\n  }\n": typeof types.ItemsDocument,
    "\n  mutation Order($input: OrderInput!) {\n    order(input: $input) {\n      order {\n        id\n        number\n        quantity\n        tmrGroup {\n          id\n          orderedQuantity\n        }\n      }\n    }\n  }\n": typeof types.OrderDocument,
    "\n  mutation StartRollout($input: StartRolloutInput!) {\n    startRollout(input: $input) {\n      rollout {\n        ...RolloutFields\n      }\n    }\n  }\n": typeof types.StartRolloutDocument,
    "\n  mutation RetryRollout($input: RolloutInput!) {\n    retryRollout(input: $input) {\n      rollout {\n        ...RolloutFields\n      }\n    }\n  }\n": typeof types.RetryRolloutDocument,
    "\n  mutation AbortRollout($input: RolloutInput!) {\n    abortRollout(input: $input) {\n      rollout {\n        ...RolloutFields\n      }\n    }\n  }\n": typeof types.AbortRolloutDocument,
    "\n  query Containers {\n    containers(first: 100) {\n      totalCount\n      edges {\n        node {\n          id\n          serial\n          kind\n          tmrGroup {\n            id\n            name\n          }\n        }\n      }\n    }\n  }\n": typeof types.ContainersDocument,
    "\n  query Container($serial: String!) {\n    container(serial: $serial) {\n      id\n      serial\n      kind\n      tmrGroup {\n        id\n        name\n      }\n    }\n  }\n": typeof types.ContainerDocument,
    "\n  fragment AllocationFields on Allocation {\n    id\n    handle\n    mode\n    licenses\n    seat\n    client\n    user\n    processId\n    application\n    state\n    firstAccess\n    lastAccess\n    product {\n      id\n      reference\n      name\n    }\n  }\n": typeof types.AllocationFieldsFragmentDoc,
    "\n  subscription AllocationsChanged($container: ID!) {\n    allocationsChanged(container: $container) {\n      sequence\n      snapshot\n      total\n      taken\n      free\n      denials\n      upserted {\n        ...AllocationFields\n      }\n      removed\n    }\n  }\n": typeof types.AllocationsChangedDocument,
    "\n  mutation ReleaseAllocation($input: ReleaseAllocationInput!) {\n    releaseAllocation(input: $input) {\n      allocation {\n        id\n        state\n      }\n    }\n  }\n": typeof types.ReleaseAllocationDocument,
};
const documents: Documents = {
    "\n  query Viewer {\n    viewer {\n      name\n      email\n      role\n      organization {\n        id\n        name\n        vendor\n        customer\n      }\n    }\n  }\n": types.ViewerDocument,
    "\n  fragment RolloutFields on Rollout {\n    id\n    number\n    state\n    tmrId\n    quantity\n    blocker\n    errorCode\n    sequence\n    startedBy\n    createdAt\n    finishedAt\n    steps {\n      position\n      state\n      note\n      startedAt\n      finishedAt\n    }\n  }\n": types.RolloutFieldsFragmentDoc,
    "\n  fragment GroupFields on TmrGroup {\n    id\n    name\n    virtualSerial\n    status\n    quantity\n    tmrId\n    health\n    sequence\n    viewedAt\n    linked\n    clients\n    orderedQuantity\n    backends {\n      position\n      serial\n      tmrId\n      quantity\n      cell\n      inForce\n      state\n      address\n      seenAt\n    }\n    servers {\n      name\n      role\n      address\n      seenAt\n    }\n    licenses {\n      product\n      name\n      inForce\n      conflict\n      status\n      quantity\n      tmrId\n      expiration\n    }\n    rollout {\n      ...RolloutFields\n    }\n  }\n": types.GroupFieldsFragmentDoc,
    "\n  query Groups {\n    tmrGroups(first: 100) {\n      totalCount\n      edges {\n        node {\n          id\n          name\n          virtualSerial\n          status\n          quantity\n          tmrId\n          health\n          clients\n        }\n      }\n    }\n  }\n": types.GroupsDocument,
    "\n  query Group($id: ID!) {\n    tmrGroup(id: $id) {\n      ...GroupFields\n      customer {\n        id\n        name\n      }\n      rollouts(first: 1) {\n        edges {\n          node {\n            ...RolloutFields\n          }\n        }\n      }\n    }\n  }\n": types.GroupDocument,
    "\n  subscription GroupChanged($id: ID!) {\n    tmrGroupChanged(id: $id) {\n      ...GroupFields\n    }\n  }\n": types.GroupChangedDocument,
    "\n  subscription RolloutChanged($id: ID!) {\n    rolloutChanged(id: $id) {\n      ...RolloutFields\n    }\n  }\n": types.RolloutChangedDocument,
    "\n  query Items {\n    items(first: 100) {\n      edges {\n        node {\n          id\n          name\n          quantity\n          tmr\n          product {\n            id\n            reference\n            name\n          }\n        }\n      }\n    }\n  }\n": types.ItemsDocument,
    "\n  mutation Order($input: OrderInput!) {\n    order(input: $input) {\n      order {\n        id\n        number\n        quantity\n        tmrGroup {\n          id\n          orderedQuantity\n        }\n      }\n    }\n  }\n": types.OrderDocument,
    "\n  mutation StartRollout($input: StartRolloutInput!) {\n    startRollout(input: $input) {\n      rollout {\n        ...RolloutFields\n      }\n    }\n  }\n": types.StartRolloutDocument,
    "\n  mutation RetryRollout($input: RolloutInput!) {\n    retryRollout(input: $input) {\n      rollout {\n        ...RolloutFields\n      }\n    }\n  }\n": types.RetryRolloutDocument,
    "\n  mutation AbortRollout($input: RolloutInput!) {\n    abortRollout(input: $input) {\n      rollout {\n        ...RolloutFields\n      }\n    }\n  }\n": types.AbortRolloutDocument,
    "\n  query Containers {\n    containers(first: 100) {\n      totalCount\n      edges {\n        node {\n          id\n          serial\n          kind\n          tmrGroup {\n            id\n            name\n          }\n        }\n      }\n    }\n  }\n": types.ContainersDocument,
    "\n  query Container($serial: String!) {\n    container(serial: $serial) {\n      id\n      serial\n      kind\n      tmrGroup {\n        id\n        name\n      }\n    }\n  }\n": types.ContainerDocument,
    "\n  fragment AllocationFields on Allocation {\n    id\n    handle\n    mode\n    licenses\n    seat\n    client\n    user\n    processId\n    application\n    state\n    firstAccess\n    lastAccess\n    product {\n      id\n      reference\n      name\n    }\n  }\n": types.AllocationFieldsFragmentDoc,
    "\n  subscription AllocationsChanged($container: ID!) {\n    allocationsChanged(container: $container) {\n      sequence\n      snapshot\n      total\n      taken\n      free\n      denials\n      upserted {\n        ...AllocationFields\n      }\n      removed\n    }\n  }\n": types.AllocationsChangedDocument,
    "\n  mutation ReleaseAllocation($input: ReleaseAllocationInput!) {\n    releaseAllocation(input: $input) {\n      allocation {\n        id\n        state\n      }\n    }\n  }\n": types.ReleaseAllocationDocument,
};

/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 *
 *
 * @example
 * ```ts
 * const query = graphql(`query GetUser($id: ID!) { user(id: $id) { name } }`);
 * ```
 *
 * The query argument is unknown!
 * Please regenerate the types.
 */
export function graphql(source: string): unknown;

/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query Viewer {\n    viewer {\n      name\n      email\n      role\n      organization {\n        id\n        name\n        vendor\n        customer\n      }\n    }\n  }\n"): (typeof documents)["\n  query Viewer {\n    viewer {\n      name\n      email\n      role\n      organization {\n        id\n        name\n        vendor\n        customer\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  fragment RolloutFields on Rollout {\n    id\n    number\n    state\n    tmrId\n    quantity\n    blocker\n    errorCode\n    sequence\n    startedBy\n    createdAt\n    finishedAt\n    steps {\n      position\n      state\n      note\n      startedAt\n      finishedAt\n    }\n  }\n"): (typeof documents)["\n  fragment RolloutFields on Rollout {\n    id\n    number\n    state\n    tmrId\n    quantity\n    blocker\n    errorCode\n    sequence\n    startedBy\n    createdAt\n    finishedAt\n    steps {\n      position\n      state\n      note\n      startedAt\n      finishedAt\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  fragment GroupFields on TmrGroup {\n    id\n    name\n    virtualSerial\n    status\n    quantity\n    tmrId\n    health\n    sequence\n    viewedAt\n    linked\n    clients\n    orderedQuantity\n    backends {\n      position\n      serial\n      tmrId\n      quantity\n      cell\n      inForce\n      state\n      address\n      seenAt\n    }\n    servers {\n      name\n      role\n      address\n      seenAt\n    }\n    licenses {\n      product\n      name\n      inForce\n      conflict\n      status\n      quantity\n      tmrId\n      expiration\n    }\n    rollout {\n      ...RolloutFields\n    }\n  }\n"): (typeof documents)["\n  fragment GroupFields on TmrGroup {\n    id\n    name\n    virtualSerial\n    status\n    quantity\n    tmrId\n    health\n    sequence\n    viewedAt\n    linked\n    clients\n    orderedQuantity\n    backends {\n      position\n      serial\n      tmrId\n      quantity\n      cell\n      inForce\n      state\n      address\n      seenAt\n    }\n    servers {\n      name\n      role\n      address\n      seenAt\n    }\n    licenses {\n      product\n      name\n      inForce\n      conflict\n      status\n      quantity\n      tmrId\n      expiration\n    }\n    rollout {\n      ...RolloutFields\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query Groups {\n    tmrGroups(first: 100) {\n      totalCount\n      edges {\n        node {\n          id\n          name\n          virtualSerial\n          status\n          quantity\n          tmrId\n          health\n          clients\n        }\n      }\n    }\n  }\n"): (typeof documents)["\n  query Groups {\n    tmrGroups(first: 100) {\n      totalCount\n      edges {\n        node {\n          id\n          name\n          virtualSerial\n          status\n          quantity\n          tmrId\n          health\n          clients\n        }\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query Group($id: ID!) {\n    tmrGroup(id: $id) {\n      ...GroupFields\n      customer {\n        id\n        name\n      }\n      rollouts(first: 1) {\n        edges {\n          node {\n            ...RolloutFields\n          }\n        }\n      }\n    }\n  }\n"): (typeof documents)["\n  query Group($id: ID!) {\n    tmrGroup(id: $id) {\n      ...GroupFields\n      customer {\n        id\n        name\n      }\n      rollouts(first: 1) {\n        edges {\n          node {\n            ...RolloutFields\n          }\n        }\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  subscription GroupChanged($id: ID!) {\n    tmrGroupChanged(id: $id) {\n      ...GroupFields\n    }\n  }\n"): (typeof documents)["\n  subscription GroupChanged($id: ID!) {\n    tmrGroupChanged(id: $id) {\n      ...GroupFields\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  subscription RolloutChanged($id: ID!) {\n    rolloutChanged(id: $id) {\n      ...RolloutFields\n    }\n  }\n"): (typeof documents)["\n  subscription RolloutChanged($id: ID!) {\n    rolloutChanged(id: $id) {\n      ...RolloutFields\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query Items {\n    items(first: 100) {\n      edges {\n        node {\n          id\n          name\n          quantity\n          tmr\n          product {\n            id\n            reference\n            name\n          }\n        }\n      }\n    }\n  }\n"): (typeof documents)["\n  query Items {\n    items(first: 100) {\n      edges {\n        node {\n          id\n          name\n          quantity\n          tmr\n          product {\n            id\n            reference\n            name\n          }\n        }\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation Order($input: OrderInput!) {\n    order(input: $input) {\n      order {\n        id\n        number\n        quantity\n        tmrGroup {\n          id\n          orderedQuantity\n        }\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation Order($input: OrderInput!) {\n    order(input: $input) {\n      order {\n        id\n        number\n        quantity\n        tmrGroup {\n          id\n          orderedQuantity\n        }\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation StartRollout($input: StartRolloutInput!) {\n    startRollout(input: $input) {\n      rollout {\n        ...RolloutFields\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation StartRollout($input: StartRolloutInput!) {\n    startRollout(input: $input) {\n      rollout {\n        ...RolloutFields\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation RetryRollout($input: RolloutInput!) {\n    retryRollout(input: $input) {\n      rollout {\n        ...RolloutFields\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation RetryRollout($input: RolloutInput!) {\n    retryRollout(input: $input) {\n      rollout {\n        ...RolloutFields\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation AbortRollout($input: RolloutInput!) {\n    abortRollout(input: $input) {\n      rollout {\n        ...RolloutFields\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation AbortRollout($input: RolloutInput!) {\n    abortRollout(input: $input) {\n      rollout {\n        ...RolloutFields\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query Containers {\n    containers(first: 100) {\n      totalCount\n      edges {\n        node {\n          id\n          serial\n          kind\n          tmrGroup {\n            id\n            name\n          }\n        }\n      }\n    }\n  }\n"): (typeof documents)["\n  query Containers {\n    containers(first: 100) {\n      totalCount\n      edges {\n        node {\n          id\n          serial\n          kind\n          tmrGroup {\n            id\n            name\n          }\n        }\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query Container($serial: String!) {\n    container(serial: $serial) {\n      id\n      serial\n      kind\n      tmrGroup {\n        id\n        name\n      }\n    }\n  }\n"): (typeof documents)["\n  query Container($serial: String!) {\n    container(serial: $serial) {\n      id\n      serial\n      kind\n      tmrGroup {\n        id\n        name\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  fragment AllocationFields on Allocation {\n    id\n    handle\n    mode\n    licenses\n    seat\n    client\n    user\n    processId\n    application\n    state\n    firstAccess\n    lastAccess\n    product {\n      id\n      reference\n      name\n    }\n  }\n"): (typeof documents)["\n  fragment AllocationFields on Allocation {\n    id\n    handle\n    mode\n    licenses\n    seat\n    client\n    user\n    processId\n    application\n    state\n    firstAccess\n    lastAccess\n    product {\n      id\n      reference\n      name\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  subscription AllocationsChanged($container: ID!) {\n    allocationsChanged(container: $container) {\n      sequence\n      snapshot\n      total\n      taken\n      free\n      denials\n      upserted {\n        ...AllocationFields\n      }\n      removed\n    }\n  }\n"): (typeof documents)["\n  subscription AllocationsChanged($container: ID!) {\n    allocationsChanged(container: $container) {\n      sequence\n      snapshot\n      total\n      taken\n      free\n      denials\n      upserted {\n        ...AllocationFields\n      }\n      removed\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation ReleaseAllocation($input: ReleaseAllocationInput!) {\n    releaseAllocation(input: $input) {\n      allocation {\n        id\n        state\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation ReleaseAllocation($input: ReleaseAllocationInput!) {\n    releaseAllocation(input: $input) {\n      allocation {\n        id\n        state\n      }\n    }\n  }\n"];

export function graphql(source: string) {
  return (documents as any)[source] ?? {};
}

export type DocumentType<TDocumentNode extends DocumentNode<any, any>> = TDocumentNode extends DocumentNode<  infer TType,  any>  ? TType  : never;