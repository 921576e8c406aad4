// Package journalrpc carries a journal.Journal over the network: Handler serves
// one, Client is one.
package journalrpc
