// Package journaltest is the one suite that every driver of package journal
// passes: each sentence of the contract is a subtest, and random walks compare
// the driver with the journal in memory, step by step.
package journaltest
