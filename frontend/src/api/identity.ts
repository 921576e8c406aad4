import { graphql } from "../gql";

export const IdentityProvidersQuery = graphql(`
  query IdentityProviders {
    identityProviders(first: 100) {
      edges {
        node {
          id
          name
          issuer
          clientId
          domains
          joinRole
          enforced
          revision
        }
      }
    }
  }
`);

export const CreateIdentityProviderMutation = graphql(`
  mutation CreateIdentityProvider($input: CreateIdentityProviderInput!) {
    createIdentityProvider(input: $input) {
      identityProvider {
        id
      }
    }
  }
`);

export const UpdateIdentityProviderMutation = graphql(`
  mutation UpdateIdentityProvider($input: UpdateIdentityProviderInput!) {
    updateIdentityProvider(input: $input) {
      identityProvider {
        id
        revision
        enforced
      }
    }
  }
`);

export const DeleteIdentityProviderMutation = graphql(`
  mutation DeleteIdentityProvider($input: DeleteIdentityProviderInput!) {
    deleteIdentityProvider(input: $input) {
      deletedIdentityProviderId
    }
  }
`);
