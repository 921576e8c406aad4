package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/testenv"
)

// A group whose backends keep their journals of seats in a Redis each: one may
// die, or lose its data, and no program loses its handle and nobody gets a 21st.
func TestSeatsInRedis(t *testing.T) {
	var redises [3]*testenv.RedisServer
	c := labConfig{}
	for i := range redises {
		redises[i] = testenv.Redis(t, testenv.Durable()...)
		c.journals[i] = redises[i].URL()
	}
	l := newLab(t, c)
	p := newPrograms(t, l.programServers()...)
	p.take(20)
	visitor, err := p.open("visitor")
	if err != nil {
		t.Fatal(err)
	}
	asked := func(patience time.Duration) error {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		h, err := visitor.Access(ctx, product)
		if err == nil {
			_ = h.Release(ctx)
		}
		return err
	}
	full := func() error {
		if err := asked(20 * time.Second); client.CodeOf(err) != client.CodeNoFreeSeat {
			return fmt.Errorf("the 21st program got %v, want %s", err, client.CodeNoFreeSeat)
		}
		return nil
	}
	wantFull := func(when string) {
		t.Helper()
		if err := full(); err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		p.wantAlive()
	}
	// seatIsGiven has two journals write: a handle ends and another begins.
	seatIsGiven := func(when string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		p.mu.Lock()
		h := p.handles[0]
		p.handles = p.handles[1:]
		p.mu.Unlock()
		if err := h.Release(ctx); err != nil {
			t.Fatalf("%s: release: %v", when, err)
		}
		if _, err := p.accessBy(ctx, visitor); err != nil {
			t.Fatalf("%s: access: %v", when, err)
		}
		wantFull(when)
	}
	wantFull("all are there")

	redises[0].Kill()
	seatIsGiven("one Redis was killed")
	leads := l.leader(0, 1)
	l.set(&l.tmr[leads], tmrName(leads), false)
	l.leader(1 - leads)
	wantFull("another leader has read two journals")
	l.set(&l.tmr[leads], tmrName(leads), true)

	redises[1].Kill()
	// Shorter than a lease: nobody is renewed meanwhile.
	testenv.Eventually(t, 4*time.Second, func() error {
		if err := asked(time.Second); client.CodeOf(err) == client.CodeNoFreeSeat || err == nil {
			return fmt.Errorf("with one journal a program got %v", err)
		}
		return nil
	})
	redises[1].Restart()
	testenv.Eventually(t, 20*time.Second, full)
	p.wantAlive()

	// One loses its data: it counts again once a leader has copied its state to it
	// and the other two have noted what is new.
	redises[0].Restart()
	var rdb [3]*redis.Client
	for i := range redises {
		rdb[i] = redis.NewClient(&redis.Options{Addr: redises[i].Addr})
		defer rdb[i].Close()
	}
	state := func(i int) (s journal.State, err error) {
		keys, err := rdb[i].Keys(t.Context(), "quorate:journal:*:state").Result()
		if err != nil || len(keys) != 1 {
			return s, fmt.Errorf("Redis %d has the states %v, %w", i+1, keys, err)
		}
		text, err := rdb[i].Get(t.Context(), keys[0]).Bytes()
		if err == nil {
			err = json.Unmarshal(text, &s)
		}
		return s, err
	}
	before, err := state(0)
	if err != nil {
		t.Fatal(err)
	}
	if err := rdb[0].FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, 20*time.Second, func() error {
		s, err := state(0)
		if err != nil || !s.Voting || s.Incarnation == before.Incarnation {
			return fmt.Errorf("the one that was lost: %+v, %v", s, err)
		}
		for i := 1; i < len(rdb); i++ {
			if other, err := state(i); err != nil || !reflect.DeepEqual(other.Roster, s.Roster) {
				return fmt.Errorf("Redis %d knows %+v, %v", i+1, other.Roster, err)
			}
		}
		return nil
	})
	wantFull("one has lost its data and got them back")
	redises[2].Kill()
	testenv.Eventually(t, 20*time.Second, full)
	seatIsGiven("the one that lost its data is needed")
}
