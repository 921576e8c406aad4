package backend_test

import (
	"context"
	"log/slog"
	"net/http"
	"testing"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/backend"
	"github.com/quorate/quorate/internal/backend/backendtest"
	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/journal/journalrpc"
	"github.com/quorate/quorate/internal/journal/journaltest"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/memnet"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
)

// serve serves a backend with a journal, and gives a client of it.
func serve(t *testing.T, j journal.Journal) (client func(k *rpc.Key) quoratev1connect.BackendServiceClient, tmr *rpc.Key) {
	t.Helper()
	tmr, key := newKey(t), newKey(t)
	b, err := backend.New(backend.Config{Container: backendtest.New(serial, activation), Journal: j, Pins: []string{tmr.Pin()}})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(b.Handler())
	server := rpc.NewServer(mux, slog.New(slog.DiscardHandler))
	server.TLSConfig = rpc.ServerTLS(key, nil)
	network := new(memnet.Network)
	ln, err := network.Listen("backend:443")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- rpc.Serve(ctx, server, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return func(k *rpc.Key) quoratev1connect.BackendServiceClient {
		c := rpc.NewClient(rpc.ClientConfig{TLS: rpc.ClientTLS(k, []string{key.Pin()}), Dial: network.Dial})
		t.Cleanup(c.Close)
		return quoratev1connect.NewBackendServiceClient(c, "https://backend:443", rpc.ClientOptions())
	}, tmr
}

// TestJournal runs the suite of journals over the network.
func TestJournal(t *testing.T) {
	journaltest.Run(t, journaltest.Driver{Open: func(t *testing.T) journaltest.Harness {
		client, tmr := serve(t, journal.NewMemory())
		c := client(tmr)
		return journaltest.Harness{Journal: journalrpc.Client{
			Backend: func() (quoratev1connect.BackendServiceClient, error) { return c, nil },
		}}
	}})
}

// journalCalls makes each call about a journal.
func journalCalls(t *testing.T, c quoratev1connect.BackendServiceClient) map[string]error {
	ctx := t.Context()
	p := &quoratev1.JournalPromise{Term: &quoratev1.JournalTerm{Epoch: 1, Owner: "a"}, Incarnation: "A"}
	key := &quoratev1.JournalKey{Product: rpc.ProductProto(product), Seat: 1}
	_, state := c.JournalState(ctx, connect.NewRequest(&quoratev1.JournalStateRequest{}))
	_, claim := c.JournalClaim(ctx, connect.NewRequest(&quoratev1.JournalClaimRequest{Term: p.GetTerm()}))
	_, confirm := c.JournalConfirm(ctx, connect.NewRequest(&quoratev1.JournalConfirmRequest{Promise: p}))
	_, records := c.JournalRecords(ctx, connect.NewRequest(&quoratev1.JournalRecordsRequest{Promise: p}))
	_, events := c.JournalEvents(ctx, connect.NewRequest(&quoratev1.JournalEventsRequest{Promise: p}))
	_, write := c.JournalWrite(ctx, connect.NewRequest(&quoratev1.JournalWriteRequest{Promise: p}))
	_, enrol := c.JournalEnrol(ctx, connect.NewRequest(&quoratev1.JournalEnrolRequest{Promise: p}))
	_, reset := c.JournalReset(ctx, connect.NewRequest(&quoratev1.JournalResetRequest{Promise: p}))
	_, seat := c.JournalSeat(ctx, connect.NewRequest(&quoratev1.JournalSeatRequest{Key: key}))
	return map[string]error{
		"State": state, "Claim": claim, "Confirm": confirm, "Records": records, "Events": events, "Write": write,
		"Enrol": enrol, "Reset": reset, "Seat": seat,
	}
}

func TestJournalIsForTMRServersAlone(t *testing.T) {
	j := journal.NewMemory()
	client, _ := serve(t, j)
	before, err := j.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, k := range map[string]*rpc.Key{"another key": newKey(t), "no key": nil} {
		for call, err := range journalCalls(t, client(k)) {
			if license.CodeOf(err) != license.CodeForbidden {
				t.Errorf("%s with %s: %v", call, name, err)
			}
		}
	}
	if now, err := j.State(t.Context()); err != nil || now.Version != before.Version {
		t.Errorf("a stranger changed %+v to %+v, %v", before, now, err)
	}
}

func TestBackendWithoutJournal(t *testing.T) {
	client, tmr := serve(t, nil)
	for call, err := range journalCalls(t, client(tmr)) {
		if license.CodeOf(err) != license.CodeUnavailable {
			t.Errorf("%s: %v", call, err)
		}
	}
}

// TestJournalBounds: what is too much is refused before the journal sees it.
func TestJournalBounds(t *testing.T) {
	client, tmr := serve(t, journal.NewMemory())
	c := client(tmr)
	claimed, err := c.JournalClaim(t.Context(), connect.NewRequest(&quoratev1.JournalClaimRequest{
		Term: &quoratev1.JournalTerm{Epoch: 1, Owner: "a"},
	}))
	if err != nil {
		t.Fatal(err)
	}
	p := &quoratev1.JournalPromise{Term: &quoratev1.JournalTerm{Epoch: 1, Owner: "a"}, Incarnation: claimed.Msg.GetState().GetIncarnation()}
	key := &quoratev1.JournalKey{Product: rpc.ProductProto(product), Seat: 1}
	for name, b := range map[string]*quoratev1.JournalBatch{
		"a long holder":  {Records: []*quoratev1.JournalRecord{{Key: key, N: 1, Holder: make([]byte, journal.MostHolder+1)}}},
		"a long event":   {Events: []*quoratev1.JournalEvent{{Position: 1, Data: make([]byte, journal.MostEventData+1)}}},
		"many records":   {Records: make([]*quoratev1.JournalRecord, journal.MostBatch+1)},
		"many events":    {Events: make([]*quoratev1.JournalEvent, journal.MostBatch+1)},
		"many drops":     {Drop: make([]uint64, journal.MostBatch+1)},
		"many marks":     {Marks: make([]*quoratev1.JournalMark, journal.MostMarks+1)},
		"no seat":        {Records: []*quoratev1.JournalRecord{{N: 1}}},
		"a wrong seat":   {Records: []*quoratev1.JournalRecord{{Key: &quoratev1.JournalKey{Seat: 1}, N: 1}}},
		"a high n":       {Records: []*quoratev1.JournalRecord{{Key: key, N: journal.MostEpoch + 1}}},
		"a high trim":    {Trim: journal.MostEpoch + 1},
		"a high base":    {Base: journal.MostEpoch + 1},
		"a nameless one": {Marks: []*quoratev1.JournalMark{{Version: 1}}},
	} {
		for i, r := range b.GetRecords() {
			if r == nil {
				b.Records[i] = &quoratev1.JournalRecord{}
			}
		}
		for i, e := range b.GetEvents() {
			if e == nil {
				b.Events[i] = &quoratev1.JournalEvent{}
			}
		}
		for i, m := range b.GetMarks() {
			if m == nil {
				b.Marks[i] = &quoratev1.JournalMark{}
			}
		}
		_, err := c.JournalWrite(t.Context(), connect.NewRequest(&quoratev1.JournalWriteRequest{Promise: p, Batch: b}))
		if license.CodeOf(err) != license.CodeInvalidInput {
			t.Errorf("%s: %v", name, err)
		}
	}
	many := &quoratev1.JournalRoster{N: 1}
	for range license.Backends + 1 {
		many.Peers = append(many.Peers, &quoratev1.JournalPeer{Name: "a", Incarnation: "A"})
	}
	if _, err := c.JournalEnrol(t.Context(), connect.NewRequest(&quoratev1.JournalEnrolRequest{Promise: p, Roster: many})); license.CodeOf(err) != license.CodeInvalidInput {
		t.Errorf("many peers: %v", err)
	}
	// No limit of a page is the journal's own.
	if _, err := c.JournalRecords(t.Context(), connect.NewRequest(&quoratev1.JournalRecordsRequest{Promise: p, Most: 1 << 31})); err != nil {
		t.Error(err)
	}
}
