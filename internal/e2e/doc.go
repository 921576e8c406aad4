// Package e2e has the tests of the whole product: the built binary, real
// processes that are really killed, PostgreSQL, Redis, and a browser.
package e2e
