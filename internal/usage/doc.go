// Package usage is the arithmetic of usage history: what a pool's handles cost,
// series of minutes, hours and days made from lease events, the hash-chained
// usage log, and the texts that all this is written in. It is pure: no storage,
// no clock.
package usage
