// Package leasetest is the one suite that every driver of package lease
// passes: each sentence of the contract is a subtest, a state machine compares
// the store with a simple model, and concurrent programs leave a history that
// a checker sweeps for more handles than the quantity allows.
//
// History and its checker are for other tests too: whoever runs programs
// against a server records what each asked and got, and Check says what could
// not have happened.
package leasetest
