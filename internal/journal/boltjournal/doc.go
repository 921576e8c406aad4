// Package boltjournal keeps a group's journal of seats in a bbolt file beside
// the backend's container.
//
// One process has the file at a time. Every change is one transaction, on disk
// before it is answered; the file's checksums are verified when it is opened. A
// file that isn't there is made, empty and of a new incarnation: so a lost disk
// shows, and the journal doesn't vote until a leader has copied the state to it.
//
// After a write that failed the journal refuses all calls until it has closed,
// checked and read its file again, which the next call does: what the failed
// write left behind is then known.
//
// The file: a bucket "journal" with the format's number, the container and the journal's state,
// "records" by product and seat, "events" by position. Every value is a CRC-32C
// over bucket, key and content, then the content. The file doesn't shrink, but
// its free pages are used again: it stays as large as its records, one per seat
// that was ever given, and the events that the leader keeps.
package boltjournal
