package client_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/licenseserver/servertest"
)

// ledger is what programs believe to hold.
type ledger struct {
	mu       sync.Mutex
	quantity int
	seats    map[uint32]string
	grants   int
}

func (l *ledger) granted(t *testing.T, i client.Info) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.grants++
	if other, taken := l.seats[i.Seat]; taken {
		t.Errorf("seat %d is given to %s while %s has it", i.Seat, i.ID, other)
	}
	l.seats[i.Seat] = i.ID
	if len(l.seats) > l.quantity {
		t.Errorf("%d handles of %d", len(l.seats), l.quantity)
	}
}

func (l *ledger) released(i client.Info) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.seats, i.Seat)
}

// Programs run over two servers that fail in every way, one at a time and for
// less than a lease. No seat is ever held twice, never more than the quantity
// are, and nobody loses a handle.
func TestServersFailUnderPrograms(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { chaos(t, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

func chaos(t *testing.T, random *rand.Rand) {
	const (
		life     = 12 * time.Second
		programs = 10
	)
	l := newLab(t, 6)
	book := &ledger{quantity: 6, seats: make(map[uint32]string)}
	names := []string{"a", "b"}
	servers := map[string]*server{}
	for _, name := range names {
		servers[name] = l.start(t, name, life)
	}
	over := time.Now().Add(2 * time.Minute)
	var all sync.WaitGroup
	for i := range programs {
		r := rand.New(rand.NewPCG(random.Uint64(), uint64(i)))
		c := l.open(t, nil, names...)
		all.Go(func() {
			for time.Now().Before(over) {
				program(t, r, c, book)
			}
		})
	}
	for time.Now().Before(over) {
		// As long as it takes until every handle was renewed once.
		time.Sleep(life/2 + time.Duration(random.IntN(4000))*time.Millisecond)
		name := names[random.IntN(2)]
		outage := time.Duration(random.IntN(4000)) * time.Millisecond
		switch random.IntN(5) {
		case 0:
			l.net.Down(name)
			time.Sleep(outage)
			l.net.Up(name)
		case 1:
			l.net.Gone(name)
			time.Sleep(outage)
			l.net.Up(name)
		case 2: // restarted
			l.net.Down(name)
			servers[name].Stop()
			time.Sleep(outage)
			servers[name] = l.start(t, name, life)
		case 3:
			procedure := []string{"Access", "Renew", "Release", "OpenKey"}[random.IntN(4)]
			servers[name].lose.Store(&procedure)
		case 4:
			book.mu.Lock()
			book.quantity++
			l.source.Change(func(o *license.Options) { o.Quantity = uint32(min(book.quantity, 8)) })
			book.quantity = min(book.quantity, 8)
			book.mu.Unlock()
		}
	}
	all.Wait()
	if book.grants < 40 {
		t.Errorf("only %d handles were given", book.grants)
	}
}

// program takes a handle, works for a while and releases it.
func program(t *testing.T, r *rand.Rand, c *client.Client, book *ledger) {
	h, err := c.Access(t.Context(), product)
	if client.CodeOf(err) == client.CodeNoFreeSeat {
		time.Sleep(time.Duration(r.IntN(2000)) * time.Millisecond)
		return
	}
	if err != nil {
		t.Errorf("access: %v", err)
		return
	}
	info := h.Info()
	book.granted(t, info)
	for range r.IntN(10) {
		time.Sleep(time.Duration(r.IntN(3000)) * time.Millisecond)
		if _, err := h.OpenKey(t.Context(), servertest.Wrap(nil)); err != nil {
			t.Errorf("key: %v", err)
		}
	}
	if h.Err() != nil || h.Info().Seat != info.Seat {
		t.Errorf("handle on seat %d: %v, seat %d", info.Seat, h.Err(), h.Info().Seat)
	}
	book.released(info)
	if err := h.Release(t.Context()); err != nil {
		t.Errorf("release: %v", err)
	}
}
