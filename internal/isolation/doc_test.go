// Package isolation_test holds the walk that shows that no tenant gets at another's
// data through the API, whatever he asks.
//
// The walk is made from the schema that introspection tells, and its database
// from ent's tables: new fields, mutations and entities are covered without
// being named. What the walk can't fill in or reach fails the test with its
// name.
package isolation_test
