// Package license is the vocabulary of Quorate: codes, serials, options,
// access modes, the two-of-three view of a TMR group, and the stable error
// codes that every face of the product (CLI, GraphQL, RPC, SDK) reports.
//
// It imports only the standard library, so the rules can be read and tested
// without a database or a network.
package license
