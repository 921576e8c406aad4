import { graphql } from "../gql";

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
