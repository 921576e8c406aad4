package redislease_test

import (
	"context"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/history"
	"github.com/quorate/quorate/internal/lease/redislease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/testenv"
)

// losing is a connection that loses the next answer once lose is set, and calls
// it then: what was asked for is done, and nobody heard of it.
type losing struct {
	net.Conn
	lose *atomic.Pointer[func()]
}

func (c losing) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if lost := c.lose.Swap(nil); lost != nil {
		_ = c.Conn.Close()
		(*lost)()
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

// TestAnswerLostBeforeATakeover: a client sends a call again by itself where its
// answer was lost. If another leader claimed meanwhile, the answer is that of the
// second time: FENCED, for what was done. It is safe to repeat with that leader,
// and whoever watches must not take the seat for held.
func TestAnswerLostBeforeATakeover(t *testing.T) {
	server := testenv.Redis(t)
	var lose atomic.Pointer[func()]
	client := redis.NewClient(&redis.Options{
		Addr: server.Addr, ContextTimeoutEnabled: true,
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, addr)
			return losing{c, &lose}, err
		},
	})
	defer client.Close()
	s := redislease.New(client, redislease.Options{})
	rival := connect(t, server.Addr, redislease.Options{})
	for kind, f := range map[history.Kind]func(seats lease.Seats, tok lease.Ref) error{
		history.Release: func(seats lease.Seats, tok lease.Ref) error { return seats.Release(t.Context(), tok) },
		history.Remove: func(seats lease.Seats, tok lease.Ref) error {
			return seats.Remove(t.Context(), tok.Pool, lease.Removal{Handle: tok.Handle, By: "root"})
		},
	} {
		t.Run(string(kind), func(t *testing.T) {
			var h history.History
			record := func(o history.Op, f func() (lease.Grant, error)) lease.Grant {
				o.Pool, o.Start = pool, time.Now()
				g, err := f()
				o.Seat, o.N, o.End, o.Code = g.Seat, g.N, time.Now(), license.CodeOf(err)
				h.Record(o)
				return g
			}
			access := func(seats lease.Seats, r lease.Request) lease.Grant {
				return record(history.Op{Kind: history.Access, Handle: r.ID, Quantity: r.Quantity, Lease: r.Lease}, func() (lease.Grant, error) {
					g, err := seats.Access(t.Context(), r)
					wantCode(t, err, "")
					return g, err
				})
			}
			end := func(seats lease.Seats, tok lease.Ref, code license.Code) {
				record(history.Op{Kind: kind, Handle: tok.Handle}, func() (lease.Grant, error) {
					err := f(seats, tok)
					wantCode(t, err, code)
					return lease.Grant{}, err
				})
			}
			seats, r := claim(t, s), request(1)
			end(seats, ref(r, access(seats, r)), "") // Redis knows the script from here on
			r = request(1)
			tok := ref(r, access(seats, r))
			var next lease.Seats
			lost := func() {
				record(history.Op{Kind: history.Claim}, func() (lease.Grant, error) {
					next = claim(t, rival)
					return lease.Grant{}, nil
				})
			}
			lose.Store(&lost)
			end(seats, tok, license.CodeFenced)
			if next == nil {
				t.Fatal("no answer was lost")
			}
			other := request(1)
			g := access(next, other)
			if g.Seat != tok.Seat || g.N != tok.N+1 {
				t.Fatalf("%+v after %+v", g, tok)
			}
			end(next, tok, "") // repeated
			if err := next.Check(t.Context(), ref(other, g)); err != nil {
				t.Errorf("the next holder: %v", err)
			}
			end(next, ref(other, g), "")
			for _, v := range h.Check() {
				t.Error(v)
			}
		})
	}
}
