// Package resolvers is the GraphQL API: it decodes a request, calls the
// platform, and encodes the answer. What may be done, and the rules by which,
// are the platform's; a resolver decides nothing.
//
// A request passes the limits (package limits) before anything is executed: depth,
// aliases, page sizes, and a cost that page sizes multiply; what it costs is taken
// from the caller's rates, and its document may be one that is known (package
// admission). Inputs and answers are put into each other's words by package
// convert, which reads nothing. Errors become
// GraphQL errors in one place (package present): those with a license.Code are shown,
// all others are logged and shown as INTERNAL.
//
// Fields that need rows of their own are loaded for all entries of a page at
// once (loaders.go), so that the number of SQL statements of a query depends on
// the query, not on the rows.
//
// Subscriptions (package watch plans them, follow.go carries them out) send the
// present state first and re-read with the viewer's own rights at each emission
// (package rights tells when he has to show them anew); what is fanned out
// between processes are ids only.
package resolvers
