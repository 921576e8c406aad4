// Package armor is the text form of the files that travel where no network
// does: license requests (.lreq), updates (.lupd) and receipts (.lrcp), of one
// container or of the three of a TMR group.
//
//	-----BEGIN QUORATE UPDATE-----
//	Version: 1
//	Kind: update
//	Group: 131-4837572
//	Container: 130-1874829; firm 6000010; number 2
//	Container: 130-27845973; firm 6000010; number 2
//	Container: 130-3879234; firm 6000010; number 2
//
//	AQIAgwAAAAAASdDEAAMAAAi9DnF1b3JhdGUtdXBkYXRlAQAACGwA…
//	=q3Jm0X…
//	-----END QUORATE UPDATE-----
//
// The Base64 is a body of signed messages of package seal, one after the other;
// the line after it is the body's SHA-256, against accidents on the way. What
// protects against people are the signatures within.
//
// The headers are for people, and can't lie: they are made of the body, and a
// file whose text is not exactly the one that its body has is refused as
// altered. Only line ends, white space at the end of a line and blank lines
// around the whole are free, since mail programs and editors change them.
//
// An update file may carry the platform's word for what time it is, beside the
// updates or without any: a time certificate for each container, with a header
// "Container: 130-1874829; time 2026-11-22T09:00:00Z".
//
// Parse verifies what can be verified without keys: a request's signatures by
// the identities in it, an update's by the firm key that it names. A receipt's
// need the container's key, a time certificate's the platform's root key. Everything is bounded before it is allocated, and
// nothing is nested.
package armor
