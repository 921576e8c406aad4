// Package client is the SDK for programs that run under a Quorate license.
//
// A program opens a client with the addresses of its license servers, takes a
// handle on a product, and releases it when it ends:
//
//	c, err := client.Open(ctx, client.Config{Servers: []string{"https://licenses.example.com:7400?pin=sha256:…"}})
//	h, err := c.Access(ctx, "6000010:14")
//	defer h.Release(context.Background())
//
// The handle lives by a lease that is renewed in the background, at a third of
// its time. Renewal goes over all servers until one answers, so a switch
// between two TMR servers, a restart or a broken connection passes unnoticed as
// long as it is shorter than the lease. Access, OpenKey, Consume and the other
// calls likewise try again by themselves; a repeated request has the effect of
// one.
//
// When a handle can't be kept (an administrator removed it, or no server could
// be reached for the whole lease) its Done channel is closed and Err tells why.
// A program that must stop without a license waits on Done.
//
// # Why a handle never outlives its seat
//
// The lease is counted from the moment before the request was sent, which is
// earlier than the server's own count, and ends a margin earlier still. Elapsed
// time is the larger of what the wall clock says, and the monotonic clock with the
// time that the machine has slept, where the system tells that: the first can be
// set back, the second stands still while a laptop sleeps. A handle whose time has
// run out is dead at once and for good, even if an answer arrives after all; a
// program that was stopped for longer than its lease learns it at its first call.
//
// # Waiting, and giving way
//
// WithWait queues where no license is free, and tells the place. Who has a license
// may be asked for it: Notices gives what is asked. Programs that call Touch when
// they are used show the others which licenses are idle.
//
// # Errors
//
// Every error is an *Error with a stable Code, a Message that says what is
// wrong, and a Fix that says what to do. errors.Is finds a Code, and errors.As a
// *Shortage where others have the licenses. Methods are safe for concurrent use.
package client
