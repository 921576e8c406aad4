package journalrpc

import (
	"context"
	"math"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
)

type api = quoratev1connect.BackendServiceClient

// Client is the journal of a backend that is reached over the network.
type Client struct {
	// Backend gives the way to the backend, or why there is none now.
	Backend func() (quoratev1connect.BackendServiceClient, error)
	// Named makes an error name the backend; nil leaves it as it is.
	Named func(error) error
}

var _ journal.Journal = Client{}

func (c Client) named(err error) error {
	if c.Named != nil {
		return c.Named(err)
	}
	return err
}

// call makes one call.
func call[Q, R any](
	ctx context.Context, c Client, method func(api, context.Context, *connect.Request[Q]) (*connect.Response[R], error), q *Q,
) (*R, error) {
	if err := ctx.Err(); err != nil {
		return nil, c.named(&license.Error{
			Code: license.CodeUnavailable, Message: "the backend was not asked in time", Fix: "try again", Err: err,
		})
	}
	b, err := c.Backend()
	if err != nil {
		return nil, err
	}
	res, err := method(b, ctx, connect.NewRequest(q))
	if err != nil {
		return nil, c.named(err)
	}
	return res.Msg, nil
}

// State implements journal.Journal.
func (c Client) State(ctx context.Context) (journal.State, error) {
	m, err := call(ctx, c, api.JournalState, &quoratev1.JournalStateRequest{})
	if err != nil {
		return journal.State{}, err
	}
	return c.state(m)
}

func (c Client) state(m *quoratev1.JournalStateResponse) (journal.State, error) {
	s, err := stateFrom(m)
	if err != nil {
		return journal.State{}, c.named(answered(err))
	}
	return s, nil
}

// answered says that an answer can't be read: whatever was asked for may have
// happened.
func answered(err error) error {
	return &license.Error{
		Code: license.CodeUnavailable, Message: "the answer about its journal of seats can't be read",
		Fix: "use the same version of Quorate on both sides", Err: err,
	}
}

// Claim implements journal.Journal.
func (c Client) Claim(ctx context.Context, t journal.Term) (journal.State, error) {
	if err := t.Check(); err != nil {
		return journal.State{}, err
	}
	m, err := call(ctx, c, api.JournalClaim, &quoratev1.JournalClaimRequest{Term: termProto(t)})
	if err != nil {
		return journal.State{}, err
	}
	return c.state(m.GetState())
}

// Confirm implements journal.Journal.
func (c Client) Confirm(ctx context.Context, p journal.Promise) (journal.Pulse, error) {
	m, err := call(ctx, c, api.JournalConfirm, &quoratev1.JournalConfirmRequest{Promise: promiseProto(p)})
	return journal.Pulse{Version: m.GetVersion()}, err
}

func asked(most int) uint32 { return uint32(min(max(most, 0), math.MaxInt32)) }

// Records implements journal.Journal.
func (c Client) Records(ctx context.Context, p journal.Promise, after journal.Key, most int) ([]journal.Record, error) {
	if most <= 0 {
		return nil, nil
	}
	m, err := call(ctx, c, api.JournalRecords, &quoratev1.JournalRecordsRequest{Promise: promiseProto(p), After: keyProto(after), Most: asked(most)})
	if err != nil {
		return nil, err
	}
	all, err := recordsFrom(m.GetRecords(), min(most, journal.MostPage))
	if err != nil {
		return nil, c.named(answered(err))
	}
	return all, nil
}

// Events implements journal.Journal.
func (c Client) Events(ctx context.Context, p journal.Promise, after uint64, most int) ([]journal.Event, error) {
	if most <= 0 {
		return nil, nil
	}
	m, err := call(ctx, c, api.JournalEvents, &quoratev1.JournalEventsRequest{Promise: promiseProto(p), After: after, Most: asked(most)})
	if err != nil {
		return nil, err
	}
	all, err := eventsFrom(m.GetEvents(), min(most, journal.MostPage))
	if err != nil {
		return nil, c.named(answered(err))
	}
	return all, nil
}

// Write implements journal.Journal.
func (c Client) Write(ctx context.Context, p journal.Promise, b journal.Batch) (journal.Pulse, error) {
	if err := b.Check(); err != nil {
		return journal.Pulse{}, err
	}
	m, err := call(ctx, c, api.JournalWrite, &quoratev1.JournalWriteRequest{Promise: promiseProto(p), Batch: batchProto(b)})
	return journal.Pulse{Version: m.GetVersion()}, err
}

// Enrol implements journal.Journal.
func (c Client) Enrol(ctx context.Context, p journal.Promise, r journal.Roster, vote bool) (journal.Pulse, error) {
	if err := r.Check(); err != nil {
		return journal.Pulse{}, err
	}
	m, err := call(ctx, c, api.JournalEnrol, &quoratev1.JournalEnrolRequest{Promise: promiseProto(p), Roster: rosterProto(r), Vote: vote})
	return journal.Pulse{Version: m.GetVersion()}, err
}

// Reset implements journal.Journal.
func (c Client) Reset(ctx context.Context, p journal.Promise) (journal.State, error) {
	m, err := call(ctx, c, api.JournalReset, &quoratev1.JournalResetRequest{Promise: promiseProto(p)})
	if err != nil {
		return journal.State{}, err
	}
	return c.state(m.GetState())
}

// Seat implements journal.Journal.
func (c Client) Seat(ctx context.Context, k journal.Key) (journal.Record, error) {
	if err := k.Check(); err != nil {
		return journal.Record{}, err
	}
	m, err := call(ctx, c, api.JournalSeat, &quoratev1.JournalSeatRequest{Key: keyProto(k)})
	if err != nil {
		return journal.Record{}, err
	}
	r, err := recordFrom(m.GetRecord())
	if err == nil && r.Key != k {
		err = unreadable("another seat was answered")
	}
	if err != nil {
		return journal.Record{}, c.named(answered(err))
	}
	return r, nil
}
