// Package rules decides by an administrator's rules who may use which license:
// allow, deny, reserve, cap and priority, each for hosts, subnets, users, groups
// and applications, and for all licenses, those of a firm, or one product.
//
// A set is parsed once and never changes, so it may be read by many at once. It
// knows neither seats nor a clock: Evaluate says of one access which rules decide
// about it, and a lease store keeps the counts that the outcome names. Check
// replays past grants against a set.
//
// # Which rule decides
//
// Whether somebody may use a license, his cap and his priority are each decided
// by one rule, the most specific that matches: first by its scope (product, firm,
// all), then by whom it names (user, group, application, host, subnet, everybody;
// a host's name before a pattern, a longer prefix before a shorter), then deny
// before allow, the lower cap, the higher priority. Where no rule matches, a scope
// with an allow rule refuses.
//
// Reservations are of another kind, since they bind those whom they do not name:
// for a product those of the most specific scope that has any are in force, all of
// them, and a license counts for each reservation that its user belongs to.
//
// # Where the address is not known
//
// Rules that take away (deny, cap) then match, and rules that give (allow,
// reserve, priority) do not.
package rules
