package journalrpc

import (
	"context"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// Handler answers for a journal what BackendService asks of one.
type Handler struct {
	// Journal is what is served; nil: this backend has none.
	Journal journal.Journal
	// Authorize says whether the caller is answered at all.
	Authorize func(ctx context.Context) error
}

// may gives the journal to a caller who may ask it.
func (h Handler) may(ctx context.Context) (journal.Journal, error) {
	if err := h.Authorize(ctx); err != nil {
		return nil, err
	}
	if h.Journal == nil {
		return nil, license.Errorf(license.CodeUnavailable, "start it with a journal of seats",
			"this backend keeps no journal of seats")
	}
	return h.Journal, nil
}

// page bounds how much is asked for; no limit is as much as there may be.
func page(most uint32) int {
	if most == 0 || most > journal.MostPage {
		return journal.MostPage
	}
	return int(most)
}

// JournalState answers by Journal.State.
func (h Handler) JournalState(
	ctx context.Context, _ *connect.Request[quoratev1.JournalStateRequest],
) (*connect.Response[quoratev1.JournalStateResponse], error) {
	j, err := h.may(ctx)
	if err != nil {
		return nil, err
	}
	s, err := j.State(ctx)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(stateProto(s)), nil
}

// JournalClaim answers by Journal.Claim.
func (h Handler) JournalClaim(
	ctx context.Context, req *connect.Request[quoratev1.JournalClaimRequest],
) (*connect.Response[quoratev1.JournalClaimResponse], error) {
	j, err := h.may(ctx)
	if err != nil {
		return nil, err
	}
	s, err := j.Claim(ctx, termFrom(req.Msg.GetTerm()))
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&quoratev1.JournalClaimResponse{State: stateProto(s)}), nil
}

// JournalConfirm answers by Journal.Confirm.
func (h Handler) JournalConfirm(
	ctx context.Context, req *connect.Request[quoratev1.JournalConfirmRequest],
) (*connect.Response[quoratev1.JournalConfirmResponse], error) {
	j, err := h.may(ctx)
	if err != nil {
		return nil, err
	}
	p, err := j.Confirm(ctx, promiseFrom(req.Msg.GetPromise()))
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&quoratev1.JournalConfirmResponse{Version: p.Version}), nil
}

// JournalRecords answers by Journal.Records.
func (h Handler) JournalRecords(
	ctx context.Context, req *connect.Request[quoratev1.JournalRecordsRequest],
) (*connect.Response[quoratev1.JournalRecordsResponse], error) {
	j, err := h.may(ctx)
	if err != nil {
		return nil, err
	}
	after, err := keyFrom(req.Msg.GetAfter())
	if err != nil {
		return nil, err
	}
	records, err := j.Records(ctx, promiseFrom(req.Msg.GetPromise()), after, page(req.Msg.GetMost()))
	if err != nil {
		return nil, err
	}
	out := new(quoratev1.JournalRecordsResponse)
	for _, r := range records {
		out.Records = append(out.Records, recordProto(r))
	}
	return connect.NewResponse(out), nil
}

// JournalEvents answers by Journal.Events.
func (h Handler) JournalEvents(
	ctx context.Context, req *connect.Request[quoratev1.JournalEventsRequest],
) (*connect.Response[quoratev1.JournalEventsResponse], error) {
	j, err := h.may(ctx)
	if err != nil {
		return nil, err
	}
	events, err := j.Events(ctx, promiseFrom(req.Msg.GetPromise()), req.Msg.GetAfter(), page(req.Msg.GetMost()))
	if err != nil {
		return nil, err
	}
	out := new(quoratev1.JournalEventsResponse)
	for _, e := range events {
		out.Events = append(out.Events, eventProto(e))
	}
	return connect.NewResponse(out), nil
}

// JournalWrite answers by Journal.Write.
func (h Handler) JournalWrite(
	ctx context.Context, req *connect.Request[quoratev1.JournalWriteRequest],
) (*connect.Response[quoratev1.JournalWriteResponse], error) {
	j, err := h.may(ctx)
	if err != nil {
		return nil, err
	}
	b, err := batchFrom(req.Msg.GetBatch())
	if err != nil {
		return nil, err
	}
	p, err := j.Write(ctx, promiseFrom(req.Msg.GetPromise()), b)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&quoratev1.JournalWriteResponse{Version: p.Version}), nil
}

// JournalEnrol answers by Journal.Enrol.
func (h Handler) JournalEnrol(
	ctx context.Context, req *connect.Request[quoratev1.JournalEnrolRequest],
) (*connect.Response[quoratev1.JournalEnrolResponse], error) {
	j, err := h.may(ctx)
	if err != nil {
		return nil, err
	}
	r, err := rosterFrom(req.Msg.GetRoster())
	if err != nil {
		return nil, err
	}
	p, err := j.Enrol(ctx, promiseFrom(req.Msg.GetPromise()), r, req.Msg.GetVote())
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&quoratev1.JournalEnrolResponse{Version: p.Version}), nil
}

// JournalReset answers by Journal.Reset.
func (h Handler) JournalReset(
	ctx context.Context, req *connect.Request[quoratev1.JournalResetRequest],
) (*connect.Response[quoratev1.JournalResetResponse], error) {
	j, err := h.may(ctx)
	if err != nil {
		return nil, err
	}
	s, err := j.Reset(ctx, promiseFrom(req.Msg.GetPromise()))
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&quoratev1.JournalResetResponse{State: stateProto(s)}), nil
}

// JournalSeat answers by Journal.Seat.
func (h Handler) JournalSeat(
	ctx context.Context, req *connect.Request[quoratev1.JournalSeatRequest],
) (*connect.Response[quoratev1.JournalSeatResponse], error) {
	j, err := h.may(ctx)
	if err != nil {
		return nil, err
	}
	k, err := keyFrom(req.Msg.GetKey())
	if err != nil {
		return nil, err
	}
	r, err := j.Seat(ctx, k)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&quoratev1.JournalSeatResponse{Record: recordProto(r)}), nil
}
