// Package platform has the use cases: what members, programs, servers and the
// platform's own workers can have done.
//
// Each use case checks a capability first, then works under the principal's
// tenant, in one transaction that also writes the audit entry; subscribers are
// told after the commit. A use case knows no protocol: resolvers, the link's
// handler and the command line call the same ones.
//
// What a use case must do for others' rows (a server's events become rows of
// vendor and customer) it does under a named system principal, after it has
// checked the caller. Private keys are in the database only as sealed by a
// KeyWrapper (core).
//
// The use cases are in the packages below, each with a Service over package
// core; Platform embeds all of them. What one service does for another, within
// its transaction and after its check, is a function there, never a method: so
// nobody reaches it through Platform.
package platform
