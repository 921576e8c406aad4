import { graphql } from "../gql";

export const ItemsQuery = graphql(`
  query Items($after: Cursor) {
    items(first: 100, after: $after) {
      totalCount
      pageInfo {
        hasNextPage
        endCursor
      }
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
