// Package auth says who asks and what he may.
//
// A Principal travels in the context. Nothing is allowed without one: the
// tenant guard of internal/store and the capability check that begins each use
// case both fail closed. Work that no person asked for runs under a named
// system principal, which only code can make (System) and no request can.
//
// Passwords are kept as argon2id hashes, hashed a few at a time, since each
// takes 64 MiB. API tokens and link tokens have 256 random bits, so a plain
// SHA-256 digest of them is all that is stored.
package auth
