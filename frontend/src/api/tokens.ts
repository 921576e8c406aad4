import { graphql } from "../gql";

export const ApiTokensQuery = graphql(`
  query ApiTokens($before: Cursor) {
    apiTokens(last: 50, before: $before) {
      totalCount
      pageInfo {
        hasPreviousPage
        startCursor
      }
      edges {
        node {
          id
          name
          role
          scopes
          hint
          createdBy
          createdAt
          expiresAt
          revokedAt
          lastUsedAt
        }
      }
    }
  }
`);

export const CreateApiTokenMutation = graphql(`
  mutation CreateApiToken($input: CreateApiTokenInput!) {
    createApiToken(input: $input) {
      secret
      apiToken {
        id
        name
      }
    }
  }
`);

export const RevokeApiTokenMutation = graphql(`
  mutation RevokeApiToken($input: RevokeApiTokenInput!) {
    revokeApiToken(input: $input) {
      apiToken {
        id
        revokedAt
      }
    }
  }
`);
