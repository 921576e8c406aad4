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
