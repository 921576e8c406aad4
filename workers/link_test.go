package workers_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/link"
	"github.com/quorate/quorate/internal/linkapi"
	"github.com/quorate/quorate/internal/platform/tasks"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// backends lets the customer's side of the link work on the lab's containers.
type backends struct{ *lab }

func (b backends) do(w tasks.LinkWork) (tasks.LinkReport, error) {
	r := b.execute(w)
	if r.Failed != nil {
		return r, r.Failed
	}
	return r, nil
}

func byPosition(all []tasks.BackendBytes) (out [3][]byte) {
	for _, b := range all {
		out[b.Position-1] = b.Data
	}
	return out
}

func updateFrom(u *quoratev1.BackendUpdate) tasks.BackendUpdate {
	return tasks.BackendUpdate{Position: int(u.GetPosition()), Update: u.GetUpdate(), Digest: u.GetDigest()}
}

func (b backends) Collect(_ context.Context, nonce []byte) ([3][]byte, error) {
	r, err := b.do(tasks.LinkWork{Kind: tasks.WorkCollect, Nonce: nonce})
	return byPosition(r.Fingerprints), err
}

func (b backends) Stage(_ context.Context, updates []*quoratev1.BackendUpdate) error {
	w := tasks.LinkWork{Kind: tasks.WorkStage}
	for _, u := range updates {
		w.Updates = append(w.Updates, updateFrom(u))
	}
	_, err := b.do(w)
	return err
}

func (b backends) Statements(_ context.Context, position int, nonce []byte) ([3][]byte, error) {
	r, err := b.do(tasks.LinkWork{Kind: tasks.WorkGuard, Position: position, Nonce: nonce})
	return byPosition(r.Statements), err
}

func (b backends) Activate(_ context.Context, position int, u *quoratev1.BackendUpdate) ([]byte, error) {
	r, err := b.do(tasks.LinkWork{Kind: tasks.WorkActivate, Position: position, Updates: []tasks.BackendUpdate{updateFrom(u)}})
	return r.Receipt, err
}

func (b backends) Verify(_ context.Context, position int, expect map[license.Product]uint32, _ time.Duration) error {
	w := tasks.LinkWork{Kind: tasks.WorkVerify, Position: position}
	for p, id := range expect {
		w.Expect = append(w.Expect, tasks.Expected{Product: p, TMRID: id})
	}
	_, err := b.do(w)
	return err
}

func (b backends) View() license.View {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last
}

func (b backends) Views(ctx context.Context, after uint64, most int) ([]license.View, error) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		b.mu.Lock()
		var out []license.View
		for _, v := range b.views {
			if v.Version > after && len(out) < most {
				out = append(out, v)
			}
		}
		b.mu.Unlock()
		if len(out) > 0 {
			return out, nil
		}
		select {
		case <-ctx.Done():
			return nil, nil
		case <-tick.C:
		}
	}
}

func (b backends) Health() (all [3]rpc.BackendHealth) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, c := range b.containers {
		all[i] = rpc.BackendHealth{Position: i + 1, Serial: c.Serial(), Address: "backend", Presence: license.Present, Seen: time.Now()}
	}
	return all
}

// The rollout with both ends of the link in between, over HTTP.
func TestRolloutOverTheLink(t *testing.T) {
	databases(t, func(t *testing.T, dsn string) {
		l := newLab(t, dsn)
		l.direct = false
		l.work(nil)
		l.mu.Lock()
		l.pushView()
		l.mu.Unlock()
		mux := http.NewServeMux()
		mux.Handle(linkapi.Handler(l.Platform, slog.New(slog.DiscardHandler)))
		server := httptest.NewServer(rpc.Handler(mux))
		t.Cleanup(server.Close)
		agent, err := link.New(link.Config{
			Server: l.server.Name, URL: server.URL, Token: l.token, Executor: backends{l}, Views: backends{l},
			Heartbeat: 50 * time.Millisecond,
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := agent.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(agent.Stop)
		l.order(20)
		l.until(l.start().ID, property.RolloutDone)
		l.order(10)
		second := l.until(l.start().ID, property.RolloutDone)
		l.holds(second.ID, 30, 8)
		stored, err := l.ViewsAfter(l.as(l.owner), l.group.ID, 0, 100)
		if err != nil || len(stored) != len(l.views) {
			t.Fatalf("%d views are stored of %d (%v)", len(stored), len(l.views), err)
		}
		for i, v := range stored {
			if v.Payload.Status != l.views[i].Status() {
				t.Errorf("view %d is stored as %s, was %s", i+1, v.Payload.Status, l.views[i].Status())
			}
		}
	})
}
