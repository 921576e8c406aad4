import { graphql } from "../gql";

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
  query Products($after: Cursor) {
    products(first: 100, after: $after) {
      totalCount
      pageInfo {
        hasNextPage
        endCursor
      }
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
