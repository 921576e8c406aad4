// Package rpc is what Quorate's servers and programs share to speak with each
// other: the generated messages (package quoratev1), the mapping of errors,
// the conversions between messages and package license, and connections whose
// two ends know each other's keys.
//
// Errors. A handler returns a *license.Error; HandlerOptions turns it into a
// Connect error that carries an ErrorInfo detail with the stable code, the
// message and the fix. Anything without a code goes out as INTERNAL with a
// message that tells nothing; its cause goes to the log. On the other side
// ClientOptions turns it back, so that errors.Is and license.CodeOf work
// across the network. A failure of the transport is UNAVAILABLE.
//
// Keys. Each server has one Ed25519 key. Its certificate is self-signed, made
// anew at each start, and says nothing; a peer is known by its pin, the
// SHA-256 of its public key. TLS (1.3 only) proves the possession of the key
// and VerifyConnection compares the pin in constant time, on resumed
// connections too. There is no authority whose loss would let a stranger in.
//
// Connections. Client closes its connections at once when it is told to, so
// that a dead one is never used again; NewServer bounds headers, bodies and
// the time for them, but not the time of a stream.
package rpc
