// Package linkapi is the platform's end of the link that the customers' servers
// dial: it tells by the link token who is calling, decodes, calls a use case of
// internal/platform, and encodes.
//
// What a server sends is bounded twice: each message by internal/rpc, each list
// by what one group can have. Nothing in it is believed here; signatures are
// checked where the results are used.
package linkapi
