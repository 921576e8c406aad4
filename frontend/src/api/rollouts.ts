import { graphql } from "../gql";

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
