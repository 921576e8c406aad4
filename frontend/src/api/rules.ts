import { graphql } from "../gql";

export const RuleSetFields = graphql(`
  fragment RuleSetFields on RuleSet {
    id
    version
    text
    digest
    savedBy
    createdAt
    rules {
      kind
      number
      each
      who
      scope
      name
      line
    }
  }
`);

export const RulesReportFields = graphql(`
  fragment RulesReportFields on RulesReport {
    since
    checked
    complete
    refusedCount
    unsure
    unknownQuantities
    refused {
      reason
      allocation {
        id
        user
        client
        application
        asked
        firstAccess
        product {
          id
          reference
          name
        }
      }
    }
  }
`);

/** The rules are those of the container, or of the TMR group that it belongs to. */
export const RulesQuery = graphql(`
  query Rules($serial: String!) {
    container(serial: $serial) {
      id
      serial
      customer {
        id
        name
      }
      ruleSet {
        ...RuleSetFields
      }
      servers {
        name
        role
        rules {
          digest
          ownFile
          problem
        }
      }
      tmrGroup {
        id
        name
        virtualSerial
        customer {
          id
          name
        }
        ruleSet {
          ...RuleSetFields
        }
        servers {
          name
          role
          rules {
            digest
            ownFile
            problem
          }
        }
      }
    }
  }
`);

export const RuleVersionQuery = graphql(`
  query RuleVersion($tmrGroup: ID, $container: ID, $version: Int!) {
    ruleSet(tmrGroup: $tmrGroup, container: $container, version: $version) {
      ...RuleSetFields
    }
  }
`);

export const CheckRulesQuery = graphql(`
  query CheckRules($tmrGroup: ID, $container: ID, $text: String!) {
    checkRules(tmrGroup: $tmrGroup, container: $container, text: $text) {
      ...RulesReportFields
    }
  }
`);

export const SaveRulesMutation = graphql(`
  mutation SaveRules($input: SaveRulesInput!) {
    saveRules(input: $input) {
      saved
      ruleSet {
        ...RuleSetFields
      }
      report {
        ...RulesReportFields
      }
    }
  }
`);
