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
    "\n  query Containers {\n    containers(first: 100) {\n      totalCount\n      edges {\n        node {\n          id\n          serial\n          kind\n          tmrGroup {\n            id\n            name\n          }\n        }\n      }\n    }\n  }\n": typeof types.ContainersDocument,
    "\n  query Container($serial: String!) {\n    container(serial: $serial) {\n      id\n      serial\n      kind\n      tmrGroup {\n        id\n        name\n      }\n    }\n  }\n": typeof types.ContainerDocument,
    "\n  fragment AllocationFields on Allocation {\n    id\n    handle\n    mode\n    licenses\n    asked\n    borrowed\n    seat\n    client\n    user\n    station\n    processId\n    application\n    state\n    firstAccess\n    lastAccess\n    accesses\n    lastAccessAt\n    idleSince\n    expiresAt\n    removal {\n      askedAt\n      by\n      refused\n      code\n      message\n    }\n    notice {\n      askedAt\n      by\n      text\n      takenAt\n      code\n      message\n    }\n    product {\n      id\n      reference\n      name\n    }\n  }\n": typeof types.AllocationFieldsFragmentDoc,
    "\n  subscription AllocationsChanged($container: ID!, $after: StreamPosition) {\n    allocationsChanged(container: $container, after: $after) {\n      sequence\n      since\n      snapshot\n      position\n      total\n      taken\n      free\n      denials\n      upserted {\n        ...AllocationFields\n      }\n      removed\n    }\n  }\n": typeof types.AllocationsChangedDocument,
    "\n  mutation ReleaseAllocation($input: ReleaseAllocationInput!) {\n    releaseAllocation(input: $input) {\n      allocation {\n        id\n        state\n      }\n    }\n  }\n": typeof types.ReleaseAllocationDocument,
    "\n  mutation AskAllocation($input: AskAllocationInput!) {\n    askAllocation(input: $input) {\n      allocation {\n        id\n        notice {\n          askedAt\n          by\n          text\n          takenAt\n          code\n          message\n        }\n      }\n    }\n  }\n": typeof types.AskAllocationDocument,
    "\n  fragment ContainerFields on Container {\n    id\n    serial\n    kind\n    position\n    state\n    manipulationSuspected\n    suspectReason\n    blockedAt\n    blockReason\n    linked\n    updateCounter\n    createdAt\n    tmrGroup {\n      id\n      name\n    }\n    customer {\n      id\n      name\n    }\n    replacedBy {\n      id\n      serial\n    }\n    licenses {\n      quantity\n      waiting\n      leaving\n      product {\n        id\n        reference\n        name\n      }\n      item {\n        ...ItemFields\n      }\n    }\n  }\n": typeof types.ContainerFieldsFragmentDoc,
    "\n  fragment TransferFields on Transfer {\n    id\n    kind\n    state\n    quantity\n    credited\n    reason\n    note\n    requestedBy\n    createdAt\n    confirmedAt\n    product {\n      id\n      reference\n      name\n    }\n    toContainer {\n      id\n      serial\n    }\n  }\n": typeof types.TransferFieldsFragmentDoc,
    "\n  query AllContainers($after: Cursor) {\n    containers(first: 100, after: $after) {\n      totalCount\n      pageInfo {\n        hasNextPage\n        endCursor\n      }\n      edges {\n        node {\n          ...ContainerFields\n        }\n      }\n    }\n  }\n": typeof types.AllContainersDocument,
    "\n  query ContainerDetails($serial: String!) {\n    container(serial: $serial) {\n      ...ContainerFields\n      rollout {\n        ...RolloutFields\n      }\n      rollouts(first: 10) {\n        totalCount\n        edges {\n          node {\n            ...RolloutFields\n          }\n        }\n      }\n      transfers(first: 10) {\n        totalCount\n        edges {\n          node {\n            ...TransferFields\n          }\n        }\n      }\n    }\n  }\n": typeof types.ContainerDetailsDocument,
    "\n  query Credits {\n    credits {\n      quantity\n      product {\n        id\n      }\n      customer {\n        id\n      }\n    }\n  }\n": typeof types.CreditsDocument,
    "\n  mutation RegisterContainer($input: RegisterContainerInput!) {\n    registerContainer(input: $input) {\n      linkToken\n      container {\n        ...ContainerFields\n      }\n    }\n  }\n": typeof types.RegisterContainerDocument,
    "\n  mutation DecideContainer($input: DecideContainerInput!) {\n    decideContainer(input: $input) {\n      container {\n        ...ContainerFields\n      }\n    }\n  }\n": typeof types.DecideContainerDocument,
    "\n  mutation ReturnLicenses($input: TransferInput!) {\n    returnLicenses(input: $input) {\n      transfer {\n        ...TransferFields\n      }\n    }\n  }\n": typeof types.ReturnLicensesDocument,
    "\n  mutation RevokeLicenses($input: TransferInput!) {\n    revokeLicenses(input: $input) {\n      transfer {\n        ...TransferFields\n      }\n    }\n  }\n": typeof types.RevokeLicensesDocument,
    "\n  mutation MoveLicenses($input: MoveLicensesInput!) {\n    moveLicenses(input: $input) {\n      transfer {\n        ...TransferFields\n      }\n    }\n  }\n": typeof types.MoveLicensesDocument,
    "\n  mutation RehostContainer($input: RehostContainerInput!) {\n    rehostContainer(input: $input) {\n      container {\n        ...ContainerFields\n      }\n      transfers {\n        id\n        quantity\n      }\n    }\n  }\n": typeof types.RehostContainerDocument,
    "\n  mutation StartOfflineRollout($input: StartOfflineRolloutInput!) {\n    startOfflineRollout(input: $input) {\n      update\n      rollout {\n        ...RolloutFields\n      }\n    }\n  }\n": typeof types.StartOfflineRolloutDocument,
    "\n  mutation FinishOfflineRollout($input: FinishOfflineRolloutInput!) {\n    finishOfflineRollout(input: $input) {\n      rollout {\n        ...RolloutFields\n      }\n    }\n  }\n": typeof types.FinishOfflineRolloutDocument,
    "\n  query OfflineUpdate($rollout: ID!) {\n    offlineUpdate(rollout: $rollout)\n  }\n": typeof types.OfflineUpdateDocument,
    "\n  mutation CertifyTime($input: CertifyTimeInput!) {\n    certifyTime(input: $input) {\n      update\n      certifiedAt\n      containers {\n        id\n        serial\n      }\n    }\n  }\n": typeof types.CertifyTimeDocument,
    "\n  fragment GroupFields on TmrGroup {\n    id\n    name\n    virtualSerial\n    status\n    quantity\n    tmrId\n    health\n    sequence\n    viewedAt\n    linked\n    clients\n    orderedQuantity\n    backends {\n      position\n      serial\n      tmrId\n      quantity\n      cell\n      inForce\n      state\n      address\n      seenAt\n    }\n    servers {\n      name\n      role\n      address\n      seenAt\n    }\n    licenses {\n      product\n      name\n      inForce\n      conflict\n      status\n      quantity\n      tmrId\n      expiration\n    }\n    rollout {\n      ...RolloutFields\n    }\n  }\n": typeof types.GroupFieldsFragmentDoc,
    "\n  query Groups {\n    tmrGroups(first: 100) {\n      totalCount\n      edges {\n        node {\n          id\n          name\n          virtualSerial\n          status\n          quantity\n          tmrId\n          health\n          clients\n        }\n      }\n    }\n  }\n": typeof types.GroupsDocument,
    "\n  query Group($id: ID!) {\n    tmrGroup(id: $id) {\n      ...GroupFields\n      customer {\n        id\n        name\n      }\n      rollouts(first: 1) {\n        edges {\n          node {\n            ...RolloutFields\n          }\n        }\n      }\n    }\n  }\n": typeof types.GroupDocument,
    "\n  subscription GroupChanged($id: ID!, $after: StreamPosition) {\n    tmrGroupChanged(id: $id, after: $after) {\n      position\n      tmrGroup {\n        ...GroupFields\n      }\n    }\n  }\n": typeof types.GroupChangedDocument,
    "\n  mutation ReplaceBackend($input: ReplaceBackendInput!) {\n    replaceBackend(input: $input) {\n      tmrGroup {\n        id\n      }\n      replaced {\n        id\n        serial\n      }\n      container {\n        id\n        serial\n      }\n      rollout {\n        ...RolloutFields\n      }\n    }\n  }\n": typeof types.ReplaceBackendDocument,
    "\n  query IdentityProviders {\n    identityProviders(first: 100) {\n      edges {\n        node {\n          id\n          name\n          issuer\n          clientId\n          domains\n          joinRole\n          enforced\n          revision\n        }\n      }\n    }\n  }\n": typeof types.IdentityProvidersDocument,
    "\n  mutation CreateIdentityProvider($input: CreateIdentityProviderInput!) {\n    createIdentityProvider(input: $input) {\n      identityProvider {\n        id\n      }\n    }\n  }\n": typeof types.CreateIdentityProviderDocument,
    "\n  mutation UpdateIdentityProvider($input: UpdateIdentityProviderInput!) {\n    updateIdentityProvider(input: $input) {\n      identityProvider {\n        id\n        revision\n        enforced\n      }\n    }\n  }\n": typeof types.UpdateIdentityProviderDocument,
    "\n  mutation DeleteIdentityProvider($input: DeleteIdentityProviderInput!) {\n    deleteIdentityProvider(input: $input) {\n      deletedIdentityProviderId\n    }\n  }\n": typeof types.DeleteIdentityProviderDocument,
    "\n  fragment ItemFields on Item {\n    id\n    name\n    revision\n    quantity\n    activation\n    expiration\n    usagePeriod\n    units\n    issue\n    featureMap\n    maintenanceFrom\n    maintenanceUntil\n    minimumVersion\n    text\n    accessList\n    linger\n    hasProtectedData\n    hasSecretData\n    tmr\n    product {\n      id\n      reference\n      name\n    }\n  }\n": typeof types.ItemFieldsFragmentDoc,
    "\n  query Catalog($after: Cursor) {\n    items(first: 100, after: $after) {\n      totalCount\n      pageInfo {\n        hasNextPage\n        endCursor\n      }\n      edges {\n        node {\n          ...ItemFields\n        }\n      }\n    }\n  }\n": typeof types.CatalogDocument,
    "\n  query Item($id: ID!) {\n    node(id: $id) {\n      ... on Item {\n        ...ItemFields\n      }\n    }\n  }\n": typeof types.ItemDocument,
    "\n  query Products {\n    products(first: 100) {\n      edges {\n        node {\n          id\n          reference\n          name\n        }\n      }\n    }\n  }\n": typeof types.ProductsDocument,
    "\n  mutation CreateItem($input: CreateItemInput!) {\n    createItem(input: $input) {\n      item {\n        ...ItemFields\n      }\n    }\n  }\n": typeof types.CreateItemDocument,
    "\n  mutation UpdateItem($input: UpdateItemInput!) {\n    updateItem(input: $input) {\n      item {\n        ...ItemFields\n      }\n    }\n  }\n": typeof types.UpdateItemDocument,
    "\n  mutation RenewItem($input: RenewItemInput!) {\n    renewItem(input: $input) {\n      item {\n        ...ItemFields\n      }\n    }\n  }\n": typeof types.RenewItemDocument,
    "\n  query Members($members: Cursor) {\n    members(first: 100, after: $members) {\n      totalCount\n      pageInfo {\n        hasNextPage\n        endCursor\n      }\n      edges {\n        node {\n          id\n          name\n          email\n          role\n          effectiveRole\n          revision\n          groups {\n            id\n            name\n          }\n        }\n      }\n    }\n    memberGroups(first: 100) {\n      edges {\n        node {\n          id\n          name\n          role\n          memberCount\n          revision\n          members {\n            id\n            name\n          }\n        }\n      }\n    }\n    invitations(last: 100) {\n      edges {\n        node {\n          id\n          email\n          name\n          role\n          invitedBy\n          expiresAt\n          acceptedAt\n          revokedAt\n        }\n      }\n    }\n  }\n": typeof types.MembersDocument,
    "\n  mutation UpdateMember($input: UpdateMemberInput!) {\n    updateMember(input: $input) {\n      member {\n        id\n        role\n        effectiveRole\n        revision\n      }\n    }\n  }\n": typeof types.UpdateMemberDocument,
    "\n  mutation RemoveMember($input: RemoveMemberInput!) {\n    removeMember(input: $input) {\n      removedMemberId\n    }\n  }\n": typeof types.RemoveMemberDocument,
    "\n  mutation CreateInvitation($input: CreateInvitationInput!) {\n    createInvitation(input: $input) {\n      token\n      invitation {\n        id\n        email\n        expiresAt\n      }\n    }\n  }\n": typeof types.CreateInvitationDocument,
    "\n  mutation ResendInvitation($input: ResendInvitationInput!) {\n    resendInvitation(input: $input) {\n      token\n      invitation {\n        id\n        expiresAt\n      }\n    }\n  }\n": typeof types.ResendInvitationDocument,
    "\n  mutation RevokeInvitation($input: RevokeInvitationInput!) {\n    revokeInvitation(input: $input) {\n      invitation {\n        id\n        revokedAt\n      }\n    }\n  }\n": typeof types.RevokeInvitationDocument,
    "\n  mutation CreateMemberGroup($input: CreateMemberGroupInput!) {\n    createMemberGroup(input: $input) {\n      group {\n        id\n      }\n    }\n  }\n": typeof types.CreateMemberGroupDocument,
    "\n  mutation DeleteMemberGroup($input: DeleteMemberGroupInput!) {\n    deleteMemberGroup(input: $input) {\n      deletedGroupId\n    }\n  }\n": typeof types.DeleteMemberGroupDocument,
    "\n  mutation AddGroupMember($input: AddGroupMemberInput!) {\n    addGroupMember(input: $input) {\n      group {\n        id\n        memberCount\n      }\n    }\n  }\n": typeof types.AddGroupMemberDocument,
    "\n  mutation RemoveGroupMember($input: RemoveGroupMemberInput!) {\n    removeGroupMember(input: $input) {\n      group {\n        id\n        memberCount\n      }\n    }\n  }\n": typeof types.RemoveGroupMemberDocument,
    "\n  query Items {\n    items(first: 100) {\n      edges {\n        node {\n          id\n          name\n          quantity\n          tmr\n          product {\n            id\n            reference\n            name\n          }\n        }\n      }\n    }\n  }\n": typeof types.ItemsDocument,
    "\n  mutation Order($input: OrderInput!) {\n    order(input: $input) {\n      order {\n        id\n        number\n        quantity\n        tmrGroup {\n          id\n          orderedQuantity\n        }\n      }\n    }\n  }\n": typeof types.OrderDocument,
    "\n  fragment RolloutFields on Rollout {\n    id\n    number\n    state\n    offline\n    tmrId\n    quantity\n    blocker\n    errorCode\n    sequence\n    startedBy\n    createdAt\n    finishedAt\n    steps {\n      position\n      state\n      note\n      startedAt\n      finishedAt\n    }\n  }\n": typeof types.RolloutFieldsFragmentDoc,
    "\n  subscription RolloutChanged($id: ID!, $after: StreamPosition) {\n    rolloutChanged(id: $id, after: $after) {\n      position\n      rollout {\n        ...RolloutFields\n      }\n    }\n  }\n": typeof types.RolloutChangedDocument,
    "\n  mutation StartRollout($input: StartRolloutInput!) {\n    startRollout(input: $input) {\n      rollout {\n        ...RolloutFields\n      }\n    }\n  }\n": typeof types.StartRolloutDocument,
    "\n  mutation RetryRollout($input: RolloutInput!) {\n    retryRollout(input: $input) {\n      rollout {\n        ...RolloutFields\n      }\n    }\n  }\n": typeof types.RetryRolloutDocument,
    "\n  mutation AbortRollout($input: RolloutInput!) {\n    abortRollout(input: $input) {\n      rollout {\n        ...RolloutFields\n      }\n    }\n  }\n": typeof types.AbortRolloutDocument,
    "\n  fragment RuleSetFields on RuleSet {\n    id\n    version\n    text\n    digest\n    savedBy\n    createdAt\n    rules {\n      kind\n      number\n      each\n      who\n      scope\n      name\n      line\n    }\n  }\n": typeof types.RuleSetFieldsFragmentDoc,
    "\n  fragment RulesReportFields on RulesReport {\n    since\n    checked\n    complete\n    refusedCount\n    unsure\n    unknownQuantities\n    refused {\n      reason\n      allocation {\n        id\n        user\n        client\n        application\n        asked\n        firstAccess\n        product {\n          id\n          reference\n          name\n        }\n      }\n    }\n  }\n": typeof types.RulesReportFieldsFragmentDoc,
    "\n  query Rules($serial: String!) {\n    container(serial: $serial) {\n      id\n      serial\n      customer {\n        id\n        name\n      }\n      ruleSet {\n        ...RuleSetFields\n      }\n      servers {\n        name\n        role\n        rules {\n          digest\n          ownFile\n          problem\n        }\n      }\n      tmrGroup {\n        id\n        name\n        virtualSerial\n        customer {\n          id\n          name\n        }\n        ruleSet {\n          ...RuleSetFields\n        }\n        servers {\n          name\n          role\n          rules {\n            digest\n            ownFile\n            problem\n          }\n        }\n      }\n    }\n  }\n": typeof types.RulesDocument,
    "\n  query RuleVersion($tmrGroup: ID, $container: ID, $version: Int!) {\n    ruleSet(tmrGroup: $tmrGroup, container: $container, version: $version) {\n      ...RuleSetFields\n    }\n  }\n": typeof types.RuleVersionDocument,
    "\n  query CheckRules($tmrGroup: ID, $container: ID, $text: String!) {\n    checkRules(tmrGroup: $tmrGroup, container: $container, text: $text) {\n      ...RulesReportFields\n    }\n  }\n": typeof types.CheckRulesDocument,
    "\n  mutation SaveRules($input: SaveRulesInput!) {\n    saveRules(input: $input) {\n      saved\n      ruleSet {\n        ...RuleSetFields\n      }\n      report {\n        ...RulesReportFields\n      }\n    }\n  }\n": typeof types.SaveRulesDocument,
    "\n  query ApiTokens($before: Cursor) {\n    apiTokens(last: 50, before: $before) {\n      totalCount\n      pageInfo {\n        hasPreviousPage\n        startCursor\n      }\n      edges {\n        node {\n          id\n          name\n          role\n          scopes\n          hint\n          createdBy\n          createdAt\n          expiresAt\n          revokedAt\n          lastUsedAt\n        }\n      }\n    }\n  }\n": typeof types.ApiTokensDocument,
    "\n  mutation CreateApiToken($input: CreateApiTokenInput!) {\n    createApiToken(input: $input) {\n      secret\n      apiToken {\n        id\n        name\n      }\n    }\n  }\n": typeof types.CreateApiTokenDocument,
    "\n  mutation RevokeApiToken($input: RevokeApiTokenInput!) {\n    revokeApiToken(input: $input) {\n      apiToken {\n        id\n        revokedAt\n      }\n    }\n  }\n": typeof types.RevokeApiTokenDocument,
    "\n  query ContainerUse($serial: String!) {\n    container(serial: $serial) {\n      id\n      serial\n      use {\n        product\n        name\n        featureMap\n        total\n        taken\n        free\n        modes {\n          mode\n          handles\n          licenses\n          borrowed\n        }\n      }\n    }\n  }\n": typeof types.ContainerUseDocument,
    "\n  query Usage(\n    $container: ID!\n    $product: ID!\n    $from: Time!\n    $to: Time!\n    $resolution: UsageResolution!\n  ) {\n    usage(\n      container: $container\n      product: $product\n      from: $from\n      to: $to\n      resolution: $resolution\n    ) {\n      from\n      to\n      since\n      points {\n        start\n        end\n        complete\n        peak\n        average\n        quantity\n        fullSeconds\n        users\n        stations\n        granted\n        denied\n      }\n    }\n    denials(first: 20, container: $container, product: $product) {\n      totalCount\n      edges {\n        node {\n          id\n          at\n          reason\n          rule\n          mode\n          licenses\n          client\n          user\n          application\n        }\n      }\n    }\n  }\n": typeof types.UsageDocument,
    "\n  query Viewer {\n    viewer {\n      name\n      email\n      role\n      organization {\n        id\n        name\n        vendor\n        customer\n        environment\n      }\n    }\n  }\n": typeof types.ViewerDocument,
};
const documents: Documents = {
    "\n  query Containers {\n    containers(first: 100) {\n      totalCount\n      edges {\n        node {\n          id\n          serial\n          kind\n          tmrGroup {\n            id\n            name\n          }\n        }\n      }\n    }\n  }\n": types.ContainersDocument,
    "\n  query Container($serial: String!) {\n    container(serial: $serial) {\n      id\n      serial\n      kind\n      tmrGroup {\n        id\n        name\n      }\n    }\n  }\n": types.ContainerDocument,
    "\n  fragment AllocationFields on Allocation {\n    id\n    handle\n    mode\n    licenses\n    asked\n    borrowed\n    seat\n    client\n    user\n    station\n    processId\n    application\n    state\n    firstAccess\n    lastAccess\n    accesses\n    lastAccessAt\n    idleSince\n    expiresAt\n    removal {\n      askedAt\n      by\n      refused\n      code\n      message\n    }\n    notice {\n      askedAt\n      by\n      text\n      takenAt\n      code\n      message\n    }\n    product {\n      id\n      reference\n      name\n    }\n  }\n": types.AllocationFieldsFragmentDoc,
    "\n  subscription AllocationsChanged($container: ID!, $after: StreamPosition) {\n    allocationsChanged(container: $container, after: $after) {\n      sequence\n      since\n      snapshot\n      position\n      total\n      taken\n      free\n      denials\n      upserted {\n        ...AllocationFields\n      }\n      removed\n    }\n  }\n": types.AllocationsChangedDocument,
    "\n  mutation ReleaseAllocation($input: ReleaseAllocationInput!) {\n    releaseAllocation(input: $input) {\n      allocation {\n        id\n        state\n      }\n    }\n  }\n": types.ReleaseAllocationDocument,
    "\n  mutation AskAllocation($input: AskAllocationInput!) {\n    askAllocation(input: $input) {\n      allocation {\n        id\n        notice {\n          askedAt\n          by\n          text\n          takenAt\n          code\n          message\n        }\n      }\n    }\n  }\n": types.AskAllocationDocument,
    "\n  fragment ContainerFields on Container {\n    id\n    serial\n    kind\n    position\n    state\n    manipulationSuspected\n    suspectReason\n    blockedAt\n    blockReason\n    linked\n    updateCounter\n    createdAt\n    tmrGroup {\n      id\n      name\n    }\n    customer {\n      id\n      name\n    }\n    replacedBy {\n      id\n      serial\n    }\n    licenses {\n      quantity\n      waiting\n      leaving\n      product {\n        id\n        reference\n        name\n      }\n      item {\n        ...ItemFields\n      }\n    }\n  }\n": types.ContainerFieldsFragmentDoc,
    "\n  fragment TransferFields on Transfer {\n    id\n    kind\n    state\n    quantity\n    credited\n    reason\n    note\n    requestedBy\n    createdAt\n    confirmedAt\n    product {\n      id\n      reference\n      name\n    }\n    toContainer {\n      id\n      serial\n    }\n  }\n": types.TransferFieldsFragmentDoc,
    "\n  query AllContainers($after: Cursor) {\n    containers(first: 100, after: $after) {\n      totalCount\n      pageInfo {\n        hasNextPage\n        endCursor\n      }\n      edges {\n        node {\n          ...ContainerFields\n        }\n      }\n    }\n  }\n": types.AllContainersDocument,
    "\n  query ContainerDetails($serial: String!) {\n    container(serial: $serial) {\n      ...ContainerFields\n      rollout {\n        ...RolloutFields\n      }\n      rollouts(first: 10) {\n        totalCount\n        edges {\n          node {\n            ...RolloutFields\n          }\n        }\n      }\n      transfers(first: 10) {\n        totalCount\n        edges {\n          node {\n            ...TransferFields\n          }\n        }\n      }\n    }\n  }\n": types.ContainerDetailsDocument,
    "\n  query Credits {\n    credits {\n      quantity\n      product {\n        id\n      }\n      customer {\n        id\n      }\n    }\n  }\n": types.CreditsDocument,
    "\n  mutation RegisterContainer($input: RegisterContainerInput!) {\n    registerContainer(input: $input) {\n      linkToken\n      container {\n        ...ContainerFields\n      }\n    }\n  }\n": types.RegisterContainerDocument,
    "\n  mutation DecideContainer($input: DecideContainerInput!) {\n    decideContainer(input: $input) {\n      container {\n        ...ContainerFields\n      }\n    }\n  }\n": types.DecideContainerDocument,
    "\n  mutation ReturnLicenses($input: TransferInput!) {\n    returnLicenses(input: $input) {\n      transfer {\n        ...TransferFields\n      }\n    }\n  }\n": types.ReturnLicensesDocument,
    "\n  mutation RevokeLicenses($input: TransferInput!) {\n    revokeLicenses(input: $input) {\n      transfer {\n        ...TransferFields\n      }\n    }\n  }\n": types.RevokeLicensesDocument,
    "\n  mutation MoveLicenses($input: MoveLicensesInput!) {\n    moveLicenses(input: $input) {\n      transfer {\n        ...TransferFields\n      }\n    }\n  }\n": types.MoveLicensesDocument,
    "\n  mutation RehostContainer($input: RehostContainerInput!) {\n    rehostContainer(input: $input) {\n      container {\n        ...ContainerFields\n      }\n      transfers {\n        id\n        quantity\n      }\n    }\n  }\n": types.RehostContainerDocument,
    "\n  mutation StartOfflineRollout($input: StartOfflineRolloutInput!) {\n    startOfflineRollout(input: $input) {\n      update\n      rollout {\n        ...RolloutFields\n      }\n    }\n  }\n": types.StartOfflineRolloutDocument,
    "\n  mutation FinishOfflineRollout($input: FinishOfflineRolloutInput!) {\n    finishOfflineRollout(input: $input) {\n      rollout {\n        ...RolloutFields\n      }\n    }\n  }\n": types.FinishOfflineRolloutDocument,
    "\n  query OfflineUpdate($rollout: ID!) {\n    offlineUpdate(rollout: $rollout)\n  }\n": types.OfflineUpdateDocument,
    "\n  mutation CertifyTime($input: CertifyTimeInput!) {\n    certifyTime(input: $input) {\n      update\n      certifiedAt\n      containers {\n        id\n        serial\n      }\n    }\n  }\n": types.CertifyTimeDocument,
    "\n  fragment GroupFields on TmrGroup {\n    id\n    name\n    virtualSerial\n    status\n    quantity\n    tmrId\n    health\n    sequence\n    viewedAt\n    linked\n    clients\n    orderedQuantity\n    backends {\n      position\n      serial\n      tmrId\n      quantity\n      cell\n      inForce\n      state\n      address\n      seenAt\n    }\n    servers {\n      name\n      role\n      address\n      seenAt\n    }\n    licenses {\n      product\n      name\n      inForce\n      conflict\n      status\n      quantity\n      tmrId\n      expiration\n    }\n    rollout {\n      ...RolloutFields\n    }\n  }\n": types.GroupFieldsFragmentDoc,
    "\n  query Groups {\n    tmrGroups(first: 100) {\n      totalCount\n      edges {\n        node {\n          id\n          name\n          virtualSerial\n          status\n          quantity\n          tmrId\n          health\n          clients\n        }\n      }\n    }\n  }\n": types.GroupsDocument,
    "\n  query Group($id: ID!) {\n    tmrGroup(id: $id) {\n      ...GroupFields\n      customer {\n        id\n        name\n      }\n      rollouts(first: 1) {\n        edges {\n          node {\n            ...RolloutFields\n          }\n        }\n      }\n    }\n  }\n": types.GroupDocument,
    "\n  subscription GroupChanged($id: ID!, $after: StreamPosition) {\n    tmrGroupChanged(id: $id, after: $after) {\n      position\n      tmrGroup {\n        ...GroupFields\n      }\n    }\n  }\n": types.GroupChangedDocument,
    "\n  mutation ReplaceBackend($input: ReplaceBackendInput!) {\n    replaceBackend(input: $input) {\n      tmrGroup {\n        id\n      }\n      replaced {\n        id\n        serial\n      }\n      container {\n        id\n        serial\n      }\n      rollout {\n        ...RolloutFields\n      }\n    }\n  }\n": types.ReplaceBackendDocument,
    "\n  query IdentityProviders {\n    identityProviders(first: 100) {\n      edges {\n        node {\n          id\n          name\n          issuer\n          clientId\n          domains\n          joinRole\n          enforced\n          revision\n        }\n      }\n    }\n  }\n": types.IdentityProvidersDocument,
    "\n  mutation CreateIdentityProvider($input: CreateIdentityProviderInput!) {\n    createIdentityProvider(input: $input) {\n      identityProvider {\n        id\n      }\n    }\n  }\n": types.CreateIdentityProviderDocument,
    "\n  mutation UpdateIdentityProvider($input: UpdateIdentityProviderInput!) {\n    updateIdentityProvider(input: $input) {\n      identityProvider {\n        id\n        revision\n        enforced\n      }\n    }\n  }\n": types.UpdateIdentityProviderDocument,
    "\n  mutation DeleteIdentityProvider($input: DeleteIdentityProviderInput!) {\n    deleteIdentityProvider(input: $input) {\n      deletedIdentityProviderId\n    }\n  }\n": types.DeleteIdentityProviderDocument,
    "\n  fragment ItemFields on Item {\n    id\n    name\n    revision\n    quantity\n    activation\n    expiration\n    usagePeriod\n    units\n    issue\n    featureMap\n    maintenanceFrom\n    maintenanceUntil\n    minimumVersion\n    text\n    accessList\n    linger\n    hasProtectedData\n    hasSecretData\n    tmr\n    product {\n      id\n      reference\n      name\n    }\n  }\n": types.ItemFieldsFragmentDoc,
    "\n  query Catalog($after: Cursor) {\n    items(first: 100, after: $after) {\n      totalCount\n      pageInfo {\n        hasNextPage\n        endCursor\n      }\n      edges {\n        node {\n          ...ItemFields\n        }\n      }\n    }\n  }\n": types.CatalogDocument,
    "\n  query Item($id: ID!) {\n    node(id: $id) {\n      ... on Item {\n        ...ItemFields\n      }\n    }\n  }\n": types.ItemDocument,
    "\n  query Products {\n    products(first: 100) {\n      edges {\n        node {\n          id\n          reference\n          name\n        }\n      }\n    }\n  }\n": types.ProductsDocument,
    "\n  mutation CreateItem($input: CreateItemInput!) {\n    createItem(input: $input) {\n      item {\n        ...ItemFields\n      }\n    }\n  }\n": types.CreateItemDocument,
    "\n  mutation UpdateItem($input: UpdateItemInput!) {\n    updateItem(input: $input) {\n      item {\n        ...ItemFields\n      }\n    }\n  }\n": types.UpdateItemDocument,
    "\n  mutation RenewItem($input: RenewItemInput!) {\n    renewItem(input: $input) {\n      item {\n        ...ItemFields\n      }\n    }\n  }\n": types.RenewItemDocument,
    "\n  query Members($members: Cursor) {\n    members(first: 100, after: $members) {\n      totalCount\n      pageInfo {\n        hasNextPage\n        endCursor\n      }\n      edges {\n        node {\n          id\n          name\n          email\n          role\n          effectiveRole\n          revision\n          groups {\n            id\n            name\n          }\n        }\n      }\n    }\n    memberGroups(first: 100) {\n      edges {\n        node {\n          id\n          name\n          role\n          memberCount\n          revision\n          members {\n            id\n            name\n          }\n        }\n      }\n    }\n    invitations(last: 100) {\n      edges {\n        node {\n          id\n          email\n          name\n          role\n          invitedBy\n          expiresAt\n          acceptedAt\n          revokedAt\n        }\n      }\n    }\n  }\n": types.MembersDocument,
    "\n  mutation UpdateMember($input: UpdateMemberInput!) {\n    updateMember(input: $input) {\n      member {\n        id\n        role\n        effectiveRole\n        revision\n      }\n    }\n  }\n": types.UpdateMemberDocument,
    "\n  mutation RemoveMember($input: RemoveMemberInput!) {\n    removeMember(input: $input) {\n      removedMemberId\n    }\n  }\n": types.RemoveMemberDocument,
    "\n  mutation CreateInvitation($input: CreateInvitationInput!) {\n    createInvitation(input: $input) {\n      token\n      invitation {\n        id\n        email\n        expiresAt\n      }\n    }\n  }\n": types.CreateInvitationDocument,
    "\n  mutation ResendInvitation($input: ResendInvitationInput!) {\n    resendInvitation(input: $input) {\n      token\n      invitation {\n        id\n        expiresAt\n      }\n    }\n  }\n": types.ResendInvitationDocument,
    "\n  mutation RevokeInvitation($input: RevokeInvitationInput!) {\n    revokeInvitation(input: $input) {\n      invitation {\n        id\n        revokedAt\n      }\n    }\n  }\n": types.RevokeInvitationDocument,
    "\n  mutation CreateMemberGroup($input: CreateMemberGroupInput!) {\n    createMemberGroup(input: $input) {\n      group {\n        id\n      }\n    }\n  }\n": types.CreateMemberGroupDocument,
    "\n  mutation DeleteMemberGroup($input: DeleteMemberGroupInput!) {\n    deleteMemberGroup(input: $input) {\n      deletedGroupId\n    }\n  }\n": types.DeleteMemberGroupDocument,
    "\n  mutation AddGroupMember($input: AddGroupMemberInput!) {\n    addGroupMember(input: $input) {\n      group {\n        id\n        memberCount\n      }\n    }\n  }\n": types.AddGroupMemberDocument,
    "\n  mutation RemoveGroupMember($input: RemoveGroupMemberInput!) {\n    removeGroupMember(input: $input) {\n      group {\n        id\n        memberCount\n      }\n    }\n  }\n": types.RemoveGroupMemberDocument,
    "\n  query Items {\n    items(first: 100) {\n      edges {\n        node {\n          id\n          name\n          quantity\n          tmr\n          product {\n            id\n            reference\n            name\n          }\n        }\n      }\n    }\n  }\n": types.ItemsDocument,
    "\n  mutation Order($input: OrderInput!) {\n    order(input: $input) {\n      order {\n        id\n        number\n        quantity\n        tmrGroup {\n          id\n          orderedQuantity\n        }\n      }\n    }\n  }\n": types.OrderDocument,
    "\n  fragment RolloutFields on Rollout {\n    id\n    number\n    state\n    offline\n    tmrId\n    quantity\n    blocker\n    errorCode\n    sequence\n    startedBy\n    createdAt\n    finishedAt\n    steps {\n      position\n      state\n      note\n      startedAt\n      finishedAt\n    }\n  }\n": types.RolloutFieldsFragmentDoc,
    "\n  subscription RolloutChanged($id: ID!, $after: StreamPosition) {\n    rolloutChanged(id: $id, after: $after) {\n      position\n      rollout {\n        ...RolloutFields\n      }\n    }\n  }\n": types.RolloutChangedDocument,
    "\n  mutation StartRollout($input: StartRolloutInput!) {\n    startRollout(input: $input) {\n      rollout {\n        ...RolloutFields\n      }\n    }\n  }\n": types.StartRolloutDocument,
    "\n  mutation RetryRollout($input: RolloutInput!) {\n    retryRollout(input: $input) {\n      rollout {\n        ...RolloutFields\n      }\n    }\n  }\n": types.RetryRolloutDocument,
    "\n  mutation AbortRollout($input: RolloutInput!) {\n    abortRollout(input: $input) {\n      rollout {\n        ...RolloutFields\n      }\n    }\n  }\n": types.AbortRolloutDocument,
    "\n  fragment RuleSetFields on RuleSet {\n    id\n    version\n    text\n    digest\n    savedBy\n    createdAt\n    rules {\n      kind\n      number\n      each\n      who\n      scope\n      name\n      line\n    }\n  }\n": types.RuleSetFieldsFragmentDoc,
    "\n  fragment RulesReportFields on RulesReport {\n    since\n    checked\n    complete\n    refusedCount\n    unsure\n    unknownQuantities\n    refused {\n      reason\n      allocation {\n        id\n        user\n        client\n        application\n        asked\n        firstAccess\n        product {\n          id\n          reference\n          name\n        }\n      }\n    }\n  }\n": types.RulesReportFieldsFragmentDoc,
    "\n  query Rules($serial: String!) {\n    container(serial: $serial) {\n      id\n      serial\n      customer {\n        id\n        name\n      }\n      ruleSet {\n        ...RuleSetFields\n      }\n      servers {\n        name\n        role\n        rules {\n          digest\n          ownFile\n          problem\n        }\n      }\n      tmrGroup {\n        id\n        name\n        virtualSerial\n        customer {\n          id\n          name\n        }\n        ruleSet {\n          ...RuleSetFields\n        }\n        servers {\n          name\n          role\n          rules {\n            digest\n            ownFile\n            problem\n          }\n        }\n      }\n    }\n  }\n": types.RulesDocument,
    "\n  query RuleVersion($tmrGroup: ID, $container: ID, $version: Int!) {\n    ruleSet(tmrGroup: $tmrGroup, container: $container, version: $version) {\n      ...RuleSetFields\n    }\n  }\n": types.RuleVersionDocument,
    "\n  query CheckRules($tmrGroup: ID, $container: ID, $text: String!) {\n    checkRules(tmrGroup: $tmrGroup, container: $container, text: $text) {\n      ...RulesReportFields\n    }\n  }\n": types.CheckRulesDocument,
    "\n  mutation SaveRules($input: SaveRulesInput!) {\n    saveRules(input: $input) {\n      saved\n      ruleSet {\n        ...RuleSetFields\n      }\n      report {\n        ...RulesReportFields\n      }\n    }\n  }\n": types.SaveRulesDocument,
    "\n  query ApiTokens($before: Cursor) {\n    apiTokens(last: 50, before: $before) {\n      totalCount\n      pageInfo {\n        hasPreviousPage\n        startCursor\n      }\n      edges {\n        node {\n          id\n          name\n          role\n          scopes\n          hint\n          createdBy\n          createdAt\n          expiresAt\n          revokedAt\n          lastUsedAt\n        }\n      }\n    }\n  }\n": types.ApiTokensDocument,
    "\n  mutation CreateApiToken($input: CreateApiTokenInput!) {\n    createApiToken(input: $input) {\n      secret\n      apiToken {\n        id\n        name\n      }\n    }\n  }\n": types.CreateApiTokenDocument,
    "\n  mutation RevokeApiToken($input: RevokeApiTokenInput!) {\n    revokeApiToken(input: $input) {\n      apiToken {\n        id\n        revokedAt\n      }\n    }\n  }\n": types.RevokeApiTokenDocument,
    "\n  query ContainerUse($serial: String!) {\n    container(serial: $serial) {\n      id\n      serial\n      use {\n        product\n        name\n        featureMap\n        total\n        taken\n        free\n        modes {\n          mode\n          handles\n          licenses\n          borrowed\n        }\n      }\n    }\n  }\n": types.ContainerUseDocument,
    "\n  query Usage(\n    $container: ID!\n    $product: ID!\n    $from: Time!\n    $to: Time!\n    $resolution: UsageResolution!\n  ) {\n    usage(\n      container: $container\n      product: $product\n      from: $from\n      to: $to\n      resolution: $resolution\n    ) {\n      from\n      to\n      since\n      points {\n        start\n        end\n        complete\n        peak\n        average\n        quantity\n        fullSeconds\n        users\n        stations\n        granted\n        denied\n      }\n    }\n    denials(first: 20, container: $container, product: $product) {\n      totalCount\n      edges {\n        node {\n          id\n          at\n          reason\n          rule\n          mode\n          licenses\n          client\n          user\n          application\n        }\n      }\n    }\n  }\n": types.UsageDocument,
    "\n  query Viewer {\n    viewer {\n      name\n      email\n      role\n      organization {\n        id\n        name\n        vendor\n        customer\n        environment\n      }\n    }\n  }\n": types.ViewerDocument,
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
export function graphql(source: "\n  query Containers {\n    containers(first: 100) {\n      totalCount\n      edges {\n        node {\n          id\n          serial\n          kind\n          tmrGroup {\n            id\n            name\n          }\n        }\n      }\n    }\n  }\n"): (typeof documents)["\n  query Containers {\n    containers(first: 100) {\n      totalCount\n      edges {\n        node {\n          id\n          serial\n          kind\n          tmrGroup {\n            id\n            name\n          }\n        }\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query Container($serial: String!) {\n    container(serial: $serial) {\n      id\n      serial\n      kind\n      tmrGroup {\n        id\n        name\n      }\n    }\n  }\n"): (typeof documents)["\n  query Container($serial: String!) {\n    container(serial: $serial) {\n      id\n      serial\n      kind\n      tmrGroup {\n        id\n        name\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  fragment AllocationFields on Allocation {\n    id\n    handle\n    mode\n    licenses\n    asked\n    borrowed\n    seat\n    client\n    user\n    station\n    processId\n    application\n    state\n    firstAccess\n    lastAccess\n    accesses\n    lastAccessAt\n    idleSince\n    expiresAt\n    removal {\n      askedAt\n      by\n      refused\n      code\n      message\n    }\n    notice {\n      askedAt\n      by\n      text\n      takenAt\n      code\n      message\n    }\n    product {\n      id\n      reference\n      name\n    }\n  }\n"): (typeof documents)["\n  fragment AllocationFields on Allocation {\n    id\n    handle\n    mode\n    licenses\n    asked\n    borrowed\n    seat\n    client\n    user\n    station\n    processId\n    application\n    state\n    firstAccess\n    lastAccess\n    accesses\n    lastAccessAt\n    idleSince\n    expiresAt\n    removal {\n      askedAt\n      by\n      refused\n      code\n      message\n    }\n    notice {\n      askedAt\n      by\n      text\n      takenAt\n      code\n      message\n    }\n    product {\n      id\n      reference\n      name\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  subscription AllocationsChanged($container: ID!, $after: StreamPosition) {\n    allocationsChanged(container: $container, after: $after) {\n      sequence\n      since\n      snapshot\n      position\n      total\n      taken\n      free\n      denials\n      upserted {\n        ...AllocationFields\n      }\n      removed\n    }\n  }\n"): (typeof documents)["\n  subscription AllocationsChanged($container: ID!, $after: StreamPosition) {\n    allocationsChanged(container: $container, after: $after) {\n      sequence\n      since\n      snapshot\n      position\n      total\n      taken\n      free\n      denials\n      upserted {\n        ...AllocationFields\n      }\n      removed\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation ReleaseAllocation($input: ReleaseAllocationInput!) {\n    releaseAllocation(input: $input) {\n      allocation {\n        id\n        state\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation ReleaseAllocation($input: ReleaseAllocationInput!) {\n    releaseAllocation(input: $input) {\n      allocation {\n        id\n        state\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation AskAllocation($input: AskAllocationInput!) {\n    askAllocation(input: $input) {\n      allocation {\n        id\n        notice {\n          askedAt\n          by\n          text\n          takenAt\n          code\n          message\n        }\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation AskAllocation($input: AskAllocationInput!) {\n    askAllocation(input: $input) {\n      allocation {\n        id\n        notice {\n          askedAt\n          by\n          text\n          takenAt\n          code\n          message\n        }\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  fragment ContainerFields on Container {\n    id\n    serial\n    kind\n    position\n    state\n    manipulationSuspected\n    suspectReason\n    blockedAt\n    blockReason\n    linked\n    updateCounter\n    createdAt\n    tmrGroup {\n      id\n      name\n    }\n    customer {\n      id\n      name\n    }\n    replacedBy {\n      id\n      serial\n    }\n    licenses {\n      quantity\n      waiting\n      leaving\n      product {\n        id\n        reference\n        name\n      }\n      item {\n        ...ItemFields\n      }\n    }\n  }\n"): (typeof documents)["\n  fragment ContainerFields on Container {\n    id\n    serial\n    kind\n    position\n    state\n    manipulationSuspected\n    suspectReason\n    blockedAt\n    blockReason\n    linked\n    updateCounter\n    createdAt\n    tmrGroup {\n      id\n      name\n    }\n    customer {\n      id\n      name\n    }\n    replacedBy {\n      id\n      serial\n    }\n    licenses {\n      quantity\n      waiting\n      leaving\n      product {\n        id\n        reference\n        name\n      }\n      item {\n        ...ItemFields\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  fragment TransferFields on Transfer {\n    id\n    kind\n    state\n    quantity\n    credited\n    reason\n    note\n    requestedBy\n    createdAt\n    confirmedAt\n    product {\n      id\n      reference\n      name\n    }\n    toContainer {\n      id\n      serial\n    }\n  }\n"): (typeof documents)["\n  fragment TransferFields on Transfer {\n    id\n    kind\n    state\n    quantity\n    credited\n    reason\n    note\n    requestedBy\n    createdAt\n    confirmedAt\n    product {\n      id\n      reference\n      name\n    }\n    toContainer {\n      id\n      serial\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query AllContainers($after: Cursor) {\n    containers(first: 100, after: $after) {\n      totalCount\n      pageInfo {\n        hasNextPage\n        endCursor\n      }\n      edges {\n        node {\n          ...ContainerFields\n        }\n      }\n    }\n  }\n"): (typeof documents)["\n  query AllContainers($after: Cursor) {\n    containers(first: 100, after: $after) {\n      totalCount\n      pageInfo {\n        hasNextPage\n        endCursor\n      }\n      edges {\n        node {\n          ...ContainerFields\n        }\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query ContainerDetails($serial: String!) {\n    container(serial: $serial) {\n      ...ContainerFields\n      rollout {\n        ...RolloutFields\n      }\n      rollouts(first: 10) {\n        totalCount\n        edges {\n          node {\n            ...RolloutFields\n          }\n        }\n      }\n      transfers(first: 10) {\n        totalCount\n        edges {\n          node {\n            ...TransferFields\n          }\n        }\n      }\n    }\n  }\n"): (typeof documents)["\n  query ContainerDetails($serial: String!) {\n    container(serial: $serial) {\n      ...ContainerFields\n      rollout {\n        ...RolloutFields\n      }\n      rollouts(first: 10) {\n        totalCount\n        edges {\n          node {\n            ...RolloutFields\n          }\n        }\n      }\n      transfers(first: 10) {\n        totalCount\n        edges {\n          node {\n            ...TransferFields\n          }\n        }\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query Credits {\n    credits {\n      quantity\n      product {\n        id\n      }\n      customer {\n        id\n      }\n    }\n  }\n"): (typeof documents)["\n  query Credits {\n    credits {\n      quantity\n      product {\n        id\n      }\n      customer {\n        id\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation RegisterContainer($input: RegisterContainerInput!) {\n    registerContainer(input: $input) {\n      linkToken\n      container {\n        ...ContainerFields\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation RegisterContainer($input: RegisterContainerInput!) {\n    registerContainer(input: $input) {\n      linkToken\n      container {\n        ...ContainerFields\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation DecideContainer($input: DecideContainerInput!) {\n    decideContainer(input: $input) {\n      container {\n        ...ContainerFields\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation DecideContainer($input: DecideContainerInput!) {\n    decideContainer(input: $input) {\n      container {\n        ...ContainerFields\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation ReturnLicenses($input: TransferInput!) {\n    returnLicenses(input: $input) {\n      transfer {\n        ...TransferFields\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation ReturnLicenses($input: TransferInput!) {\n    returnLicenses(input: $input) {\n      transfer {\n        ...TransferFields\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation RevokeLicenses($input: TransferInput!) {\n    revokeLicenses(input: $input) {\n      transfer {\n        ...TransferFields\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation RevokeLicenses($input: TransferInput!) {\n    revokeLicenses(input: $input) {\n      transfer {\n        ...TransferFields\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation MoveLicenses($input: MoveLicensesInput!) {\n    moveLicenses(input: $input) {\n      transfer {\n        ...TransferFields\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation MoveLicenses($input: MoveLicensesInput!) {\n    moveLicenses(input: $input) {\n      transfer {\n        ...TransferFields\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation RehostContainer($input: RehostContainerInput!) {\n    rehostContainer(input: $input) {\n      container {\n        ...ContainerFields\n      }\n      transfers {\n        id\n        quantity\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation RehostContainer($input: RehostContainerInput!) {\n    rehostContainer(input: $input) {\n      container {\n        ...ContainerFields\n      }\n      transfers {\n        id\n        quantity\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation StartOfflineRollout($input: StartOfflineRolloutInput!) {\n    startOfflineRollout(input: $input) {\n      update\n      rollout {\n        ...RolloutFields\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation StartOfflineRollout($input: StartOfflineRolloutInput!) {\n    startOfflineRollout(input: $input) {\n      update\n      rollout {\n        ...RolloutFields\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation FinishOfflineRollout($input: FinishOfflineRolloutInput!) {\n    finishOfflineRollout(input: $input) {\n      rollout {\n        ...RolloutFields\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation FinishOfflineRollout($input: FinishOfflineRolloutInput!) {\n    finishOfflineRollout(input: $input) {\n      rollout {\n        ...RolloutFields\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query OfflineUpdate($rollout: ID!) {\n    offlineUpdate(rollout: $rollout)\n  }\n"): (typeof documents)["\n  query OfflineUpdate($rollout: ID!) {\n    offlineUpdate(rollout: $rollout)\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation CertifyTime($input: CertifyTimeInput!) {\n    certifyTime(input: $input) {\n      update\n      certifiedAt\n      containers {\n        id\n        serial\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation CertifyTime($input: CertifyTimeInput!) {\n    certifyTime(input: $input) {\n      update\n      certifiedAt\n      containers {\n        id\n        serial\n      }\n    }\n  }\n"];
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
export function graphql(source: "\n  subscription GroupChanged($id: ID!, $after: StreamPosition) {\n    tmrGroupChanged(id: $id, after: $after) {\n      position\n      tmrGroup {\n        ...GroupFields\n      }\n    }\n  }\n"): (typeof documents)["\n  subscription GroupChanged($id: ID!, $after: StreamPosition) {\n    tmrGroupChanged(id: $id, after: $after) {\n      position\n      tmrGroup {\n        ...GroupFields\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation ReplaceBackend($input: ReplaceBackendInput!) {\n    replaceBackend(input: $input) {\n      tmrGroup {\n        id\n      }\n      replaced {\n        id\n        serial\n      }\n      container {\n        id\n        serial\n      }\n      rollout {\n        ...RolloutFields\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation ReplaceBackend($input: ReplaceBackendInput!) {\n    replaceBackend(input: $input) {\n      tmrGroup {\n        id\n      }\n      replaced {\n        id\n        serial\n      }\n      container {\n        id\n        serial\n      }\n      rollout {\n        ...RolloutFields\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query IdentityProviders {\n    identityProviders(first: 100) {\n      edges {\n        node {\n          id\n          name\n          issuer\n          clientId\n          domains\n          joinRole\n          enforced\n          revision\n        }\n      }\n    }\n  }\n"): (typeof documents)["\n  query IdentityProviders {\n    identityProviders(first: 100) {\n      edges {\n        node {\n          id\n          name\n          issuer\n          clientId\n          domains\n          joinRole\n          enforced\n          revision\n        }\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation CreateIdentityProvider($input: CreateIdentityProviderInput!) {\n    createIdentityProvider(input: $input) {\n      identityProvider {\n        id\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation CreateIdentityProvider($input: CreateIdentityProviderInput!) {\n    createIdentityProvider(input: $input) {\n      identityProvider {\n        id\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation UpdateIdentityProvider($input: UpdateIdentityProviderInput!) {\n    updateIdentityProvider(input: $input) {\n      identityProvider {\n        id\n        revision\n        enforced\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation UpdateIdentityProvider($input: UpdateIdentityProviderInput!) {\n    updateIdentityProvider(input: $input) {\n      identityProvider {\n        id\n        revision\n        enforced\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation DeleteIdentityProvider($input: DeleteIdentityProviderInput!) {\n    deleteIdentityProvider(input: $input) {\n      deletedIdentityProviderId\n    }\n  }\n"): (typeof documents)["\n  mutation DeleteIdentityProvider($input: DeleteIdentityProviderInput!) {\n    deleteIdentityProvider(input: $input) {\n      deletedIdentityProviderId\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  fragment ItemFields on Item {\n    id\n    name\n    revision\n    quantity\n    activation\n    expiration\n    usagePeriod\n    units\n    issue\n    featureMap\n    maintenanceFrom\n    maintenanceUntil\n    minimumVersion\n    text\n    accessList\n    linger\n    hasProtectedData\n    hasSecretData\n    tmr\n    product {\n      id\n      reference\n      name\n    }\n  }\n"): (typeof documents)["\n  fragment ItemFields on Item {\n    id\n    name\n    revision\n    quantity\n    activation\n    expiration\n    usagePeriod\n    units\n    issue\n    featureMap\n    maintenanceFrom\n    maintenanceUntil\n    minimumVersion\n    text\n    accessList\n    linger\n    hasProtectedData\n    hasSecretData\n    tmr\n    product {\n      id\n      reference\n      name\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query Catalog($after: Cursor) {\n    items(first: 100, after: $after) {\n      totalCount\n      pageInfo {\n        hasNextPage\n        endCursor\n      }\n      edges {\n        node {\n          ...ItemFields\n        }\n      }\n    }\n  }\n"): (typeof documents)["\n  query Catalog($after: Cursor) {\n    items(first: 100, after: $after) {\n      totalCount\n      pageInfo {\n        hasNextPage\n        endCursor\n      }\n      edges {\n        node {\n          ...ItemFields\n        }\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query Item($id: ID!) {\n    node(id: $id) {\n      ... on Item {\n        ...ItemFields\n      }\n    }\n  }\n"): (typeof documents)["\n  query Item($id: ID!) {\n    node(id: $id) {\n      ... on Item {\n        ...ItemFields\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query Products {\n    products(first: 100) {\n      edges {\n        node {\n          id\n          reference\n          name\n        }\n      }\n    }\n  }\n"): (typeof documents)["\n  query Products {\n    products(first: 100) {\n      edges {\n        node {\n          id\n          reference\n          name\n        }\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation CreateItem($input: CreateItemInput!) {\n    createItem(input: $input) {\n      item {\n        ...ItemFields\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation CreateItem($input: CreateItemInput!) {\n    createItem(input: $input) {\n      item {\n        ...ItemFields\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation UpdateItem($input: UpdateItemInput!) {\n    updateItem(input: $input) {\n      item {\n        ...ItemFields\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation UpdateItem($input: UpdateItemInput!) {\n    updateItem(input: $input) {\n      item {\n        ...ItemFields\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation RenewItem($input: RenewItemInput!) {\n    renewItem(input: $input) {\n      item {\n        ...ItemFields\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation RenewItem($input: RenewItemInput!) {\n    renewItem(input: $input) {\n      item {\n        ...ItemFields\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query Members($members: Cursor) {\n    members(first: 100, after: $members) {\n      totalCount\n      pageInfo {\n        hasNextPage\n        endCursor\n      }\n      edges {\n        node {\n          id\n          name\n          email\n          role\n          effectiveRole\n          revision\n          groups {\n            id\n            name\n          }\n        }\n      }\n    }\n    memberGroups(first: 100) {\n      edges {\n        node {\n          id\n          name\n          role\n          memberCount\n          revision\n          members {\n            id\n            name\n          }\n        }\n      }\n    }\n    invitations(last: 100) {\n      edges {\n        node {\n          id\n          email\n          name\n          role\n          invitedBy\n          expiresAt\n          acceptedAt\n          revokedAt\n        }\n      }\n    }\n  }\n"): (typeof documents)["\n  query Members($members: Cursor) {\n    members(first: 100, after: $members) {\n      totalCount\n      pageInfo {\n        hasNextPage\n        endCursor\n      }\n      edges {\n        node {\n          id\n          name\n          email\n          role\n          effectiveRole\n          revision\n          groups {\n            id\n            name\n          }\n        }\n      }\n    }\n    memberGroups(first: 100) {\n      edges {\n        node {\n          id\n          name\n          role\n          memberCount\n          revision\n          members {\n            id\n            name\n          }\n        }\n      }\n    }\n    invitations(last: 100) {\n      edges {\n        node {\n          id\n          email\n          name\n          role\n          invitedBy\n          expiresAt\n          acceptedAt\n          revokedAt\n        }\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation UpdateMember($input: UpdateMemberInput!) {\n    updateMember(input: $input) {\n      member {\n        id\n        role\n        effectiveRole\n        revision\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation UpdateMember($input: UpdateMemberInput!) {\n    updateMember(input: $input) {\n      member {\n        id\n        role\n        effectiveRole\n        revision\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation RemoveMember($input: RemoveMemberInput!) {\n    removeMember(input: $input) {\n      removedMemberId\n    }\n  }\n"): (typeof documents)["\n  mutation RemoveMember($input: RemoveMemberInput!) {\n    removeMember(input: $input) {\n      removedMemberId\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation CreateInvitation($input: CreateInvitationInput!) {\n    createInvitation(input: $input) {\n      token\n      invitation {\n        id\n        email\n        expiresAt\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation CreateInvitation($input: CreateInvitationInput!) {\n    createInvitation(input: $input) {\n      token\n      invitation {\n        id\n        email\n        expiresAt\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation ResendInvitation($input: ResendInvitationInput!) {\n    resendInvitation(input: $input) {\n      token\n      invitation {\n        id\n        expiresAt\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation ResendInvitation($input: ResendInvitationInput!) {\n    resendInvitation(input: $input) {\n      token\n      invitation {\n        id\n        expiresAt\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation RevokeInvitation($input: RevokeInvitationInput!) {\n    revokeInvitation(input: $input) {\n      invitation {\n        id\n        revokedAt\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation RevokeInvitation($input: RevokeInvitationInput!) {\n    revokeInvitation(input: $input) {\n      invitation {\n        id\n        revokedAt\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation CreateMemberGroup($input: CreateMemberGroupInput!) {\n    createMemberGroup(input: $input) {\n      group {\n        id\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation CreateMemberGroup($input: CreateMemberGroupInput!) {\n    createMemberGroup(input: $input) {\n      group {\n        id\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation DeleteMemberGroup($input: DeleteMemberGroupInput!) {\n    deleteMemberGroup(input: $input) {\n      deletedGroupId\n    }\n  }\n"): (typeof documents)["\n  mutation DeleteMemberGroup($input: DeleteMemberGroupInput!) {\n    deleteMemberGroup(input: $input) {\n      deletedGroupId\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation AddGroupMember($input: AddGroupMemberInput!) {\n    addGroupMember(input: $input) {\n      group {\n        id\n        memberCount\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation AddGroupMember($input: AddGroupMemberInput!) {\n    addGroupMember(input: $input) {\n      group {\n        id\n        memberCount\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation RemoveGroupMember($input: RemoveGroupMemberInput!) {\n    removeGroupMember(input: $input) {\n      group {\n        id\n        memberCount\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation RemoveGroupMember($input: RemoveGroupMemberInput!) {\n    removeGroupMember(input: $input) {\n      group {\n        id\n        memberCount\n      }\n    }\n  }\n"];
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
export function graphql(source: "\n  fragment RolloutFields on Rollout {\n    id\n    number\n    state\n    offline\n    tmrId\n    quantity\n    blocker\n    errorCode\n    sequence\n    startedBy\n    createdAt\n    finishedAt\n    steps {\n      position\n      state\n      note\n      startedAt\n      finishedAt\n    }\n  }\n"): (typeof documents)["\n  fragment RolloutFields on Rollout {\n    id\n    number\n    state\n    offline\n    tmrId\n    quantity\n    blocker\n    errorCode\n    sequence\n    startedBy\n    createdAt\n    finishedAt\n    steps {\n      position\n      state\n      note\n      startedAt\n      finishedAt\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  subscription RolloutChanged($id: ID!, $after: StreamPosition) {\n    rolloutChanged(id: $id, after: $after) {\n      position\n      rollout {\n        ...RolloutFields\n      }\n    }\n  }\n"): (typeof documents)["\n  subscription RolloutChanged($id: ID!, $after: StreamPosition) {\n    rolloutChanged(id: $id, after: $after) {\n      position\n      rollout {\n        ...RolloutFields\n      }\n    }\n  }\n"];
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
export function graphql(source: "\n  fragment RuleSetFields on RuleSet {\n    id\n    version\n    text\n    digest\n    savedBy\n    createdAt\n    rules {\n      kind\n      number\n      each\n      who\n      scope\n      name\n      line\n    }\n  }\n"): (typeof documents)["\n  fragment RuleSetFields on RuleSet {\n    id\n    version\n    text\n    digest\n    savedBy\n    createdAt\n    rules {\n      kind\n      number\n      each\n      who\n      scope\n      name\n      line\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  fragment RulesReportFields on RulesReport {\n    since\n    checked\n    complete\n    refusedCount\n    unsure\n    unknownQuantities\n    refused {\n      reason\n      allocation {\n        id\n        user\n        client\n        application\n        asked\n        firstAccess\n        product {\n          id\n          reference\n          name\n        }\n      }\n    }\n  }\n"): (typeof documents)["\n  fragment RulesReportFields on RulesReport {\n    since\n    checked\n    complete\n    refusedCount\n    unsure\n    unknownQuantities\n    refused {\n      reason\n      allocation {\n        id\n        user\n        client\n        application\n        asked\n        firstAccess\n        product {\n          id\n          reference\n          name\n        }\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query Rules($serial: String!) {\n    container(serial: $serial) {\n      id\n      serial\n      customer {\n        id\n        name\n      }\n      ruleSet {\n        ...RuleSetFields\n      }\n      servers {\n        name\n        role\n        rules {\n          digest\n          ownFile\n          problem\n        }\n      }\n      tmrGroup {\n        id\n        name\n        virtualSerial\n        customer {\n          id\n          name\n        }\n        ruleSet {\n          ...RuleSetFields\n        }\n        servers {\n          name\n          role\n          rules {\n            digest\n            ownFile\n            problem\n          }\n        }\n      }\n    }\n  }\n"): (typeof documents)["\n  query Rules($serial: String!) {\n    container(serial: $serial) {\n      id\n      serial\n      customer {\n        id\n        name\n      }\n      ruleSet {\n        ...RuleSetFields\n      }\n      servers {\n        name\n        role\n        rules {\n          digest\n          ownFile\n          problem\n        }\n      }\n      tmrGroup {\n        id\n        name\n        virtualSerial\n        customer {\n          id\n          name\n        }\n        ruleSet {\n          ...RuleSetFields\n        }\n        servers {\n          name\n          role\n          rules {\n            digest\n            ownFile\n            problem\n          }\n        }\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query RuleVersion($tmrGroup: ID, $container: ID, $version: Int!) {\n    ruleSet(tmrGroup: $tmrGroup, container: $container, version: $version) {\n      ...RuleSetFields\n    }\n  }\n"): (typeof documents)["\n  query RuleVersion($tmrGroup: ID, $container: ID, $version: Int!) {\n    ruleSet(tmrGroup: $tmrGroup, container: $container, version: $version) {\n      ...RuleSetFields\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query CheckRules($tmrGroup: ID, $container: ID, $text: String!) {\n    checkRules(tmrGroup: $tmrGroup, container: $container, text: $text) {\n      ...RulesReportFields\n    }\n  }\n"): (typeof documents)["\n  query CheckRules($tmrGroup: ID, $container: ID, $text: String!) {\n    checkRules(tmrGroup: $tmrGroup, container: $container, text: $text) {\n      ...RulesReportFields\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation SaveRules($input: SaveRulesInput!) {\n    saveRules(input: $input) {\n      saved\n      ruleSet {\n        ...RuleSetFields\n      }\n      report {\n        ...RulesReportFields\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation SaveRules($input: SaveRulesInput!) {\n    saveRules(input: $input) {\n      saved\n      ruleSet {\n        ...RuleSetFields\n      }\n      report {\n        ...RulesReportFields\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query ApiTokens($before: Cursor) {\n    apiTokens(last: 50, before: $before) {\n      totalCount\n      pageInfo {\n        hasPreviousPage\n        startCursor\n      }\n      edges {\n        node {\n          id\n          name\n          role\n          scopes\n          hint\n          createdBy\n          createdAt\n          expiresAt\n          revokedAt\n          lastUsedAt\n        }\n      }\n    }\n  }\n"): (typeof documents)["\n  query ApiTokens($before: Cursor) {\n    apiTokens(last: 50, before: $before) {\n      totalCount\n      pageInfo {\n        hasPreviousPage\n        startCursor\n      }\n      edges {\n        node {\n          id\n          name\n          role\n          scopes\n          hint\n          createdBy\n          createdAt\n          expiresAt\n          revokedAt\n          lastUsedAt\n        }\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation CreateApiToken($input: CreateApiTokenInput!) {\n    createApiToken(input: $input) {\n      secret\n      apiToken {\n        id\n        name\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation CreateApiToken($input: CreateApiTokenInput!) {\n    createApiToken(input: $input) {\n      secret\n      apiToken {\n        id\n        name\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation RevokeApiToken($input: RevokeApiTokenInput!) {\n    revokeApiToken(input: $input) {\n      apiToken {\n        id\n        revokedAt\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation RevokeApiToken($input: RevokeApiTokenInput!) {\n    revokeApiToken(input: $input) {\n      apiToken {\n        id\n        revokedAt\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query ContainerUse($serial: String!) {\n    container(serial: $serial) {\n      id\n      serial\n      use {\n        product\n        name\n        featureMap\n        total\n        taken\n        free\n        modes {\n          mode\n          handles\n          licenses\n          borrowed\n        }\n      }\n    }\n  }\n"): (typeof documents)["\n  query ContainerUse($serial: String!) {\n    container(serial: $serial) {\n      id\n      serial\n      use {\n        product\n        name\n        featureMap\n        total\n        taken\n        free\n        modes {\n          mode\n          handles\n          licenses\n          borrowed\n        }\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query Usage(\n    $container: ID!\n    $product: ID!\n    $from: Time!\n    $to: Time!\n    $resolution: UsageResolution!\n  ) {\n    usage(\n      container: $container\n      product: $product\n      from: $from\n      to: $to\n      resolution: $resolution\n    ) {\n      from\n      to\n      since\n      points {\n        start\n        end\n        complete\n        peak\n        average\n        quantity\n        fullSeconds\n        users\n        stations\n        granted\n        denied\n      }\n    }\n    denials(first: 20, container: $container, product: $product) {\n      totalCount\n      edges {\n        node {\n          id\n          at\n          reason\n          rule\n          mode\n          licenses\n          client\n          user\n          application\n        }\n      }\n    }\n  }\n"): (typeof documents)["\n  query Usage(\n    $container: ID!\n    $product: ID!\n    $from: Time!\n    $to: Time!\n    $resolution: UsageResolution!\n  ) {\n    usage(\n      container: $container\n      product: $product\n      from: $from\n      to: $to\n      resolution: $resolution\n    ) {\n      from\n      to\n      since\n      points {\n        start\n        end\n        complete\n        peak\n        average\n        quantity\n        fullSeconds\n        users\n        stations\n        granted\n        denied\n      }\n    }\n    denials(first: 20, container: $container, product: $product) {\n      totalCount\n      edges {\n        node {\n          id\n          at\n          reason\n          rule\n          mode\n          licenses\n          client\n          user\n          application\n        }\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query Viewer {\n    viewer {\n      name\n      email\n      role\n      organization {\n        id\n        name\n        vendor\n        customer\n        environment\n      }\n    }\n  }\n"): (typeof documents)["\n  query Viewer {\n    viewer {\n      name\n      email\n      role\n      organization {\n        id\n        name\n        vendor\n        customer\n        environment\n      }\n    }\n  }\n"];

export function graphql(source: string) {
  return (documents as any)[source] ?? {};
}

export type DocumentType<TDocumentNode extends DocumentNode<any, any>> = TDocumentNode extends DocumentNode<  infer TType,  any>  ? TType  : never;