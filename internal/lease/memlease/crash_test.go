package memlease_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/memlease"
	"github.com/quorate/quorate/internal/license"
)

var (
	group = license.Serial{Mask: 131, Number: 4837572}
	pool  = lease.Pool{Container: group, Product: license.Product{Firm: 6000010, Code: 14}}
)

func request(quantity uint32) lease.Request {
	return lease.Request{
		ID: uuid.NewString(), Pool: pool, Mode: license.UserLimit, Station: "station-7",
		Client: lease.Client{Address: "192.0.2.7", User: "ada"}, Quantity: quantity, Lease: time.Hour,
	}
}

func ref(r lease.Request, g lease.Grant) lease.Ref {
	return lease.Ref{
		Pool: g.Pool, Handle: g.Handle, Seat: g.Seat, Epoch: g.Epoch, N: g.N,
		Mode: g.Mode, Station: r.Station, Client: r.Client, Lease: g.Lease,
	}
}

const crashEnv = "MEMLEASE_CRASH"

// TestKilledProcess kills a process that gives and takes seats, again and
// again on one file: what it had answered is there afterwards.
func TestKilledProcess(t *testing.T) {
	if path := os.Getenv(crashEnv); path != "" {
		victim(t, path)
		return
	}
	path := filepath.Join(t.TempDir(), "seats")
	alive := map[string]lease.Ref{}
	ended := map[string]lease.Ref{}
	open := map[string]bool{} // release sent, not answered
	lingers, came := map[uint32]lease.Ref{}, 0
	var epoch uint64
	for round := range 6 {
		child := exec.Command(os.Args[0], "-test.run=^TestKilledProcess$")
		child.Env = append(os.Environ(), crashEnv+"="+path)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			var what string
			r := lease.Ref{Pool: pool}
			if _, err := fmt.Sscan(lines.Text(), &what, &r.Handle, &r.Seat, &r.N, &r.Epoch); err != nil {
				continue
			}
			epoch = max(epoch, r.Epoch)
			switch what {
			case "granted":
				alive[r.Handle] = r
				if _, back := lingers[r.Seat]; back {
					delete(lingers, r.Seat)
					came++
				}
			case "releasing":
				open[r.Handle] = true
				ended[r.Handle] = alive[r.Handle]
				delete(alive, r.Handle)
			case "lingers":
				lingers[r.Seat] = r
				delete(open, r.Handle)
			case "released":
				delete(open, r.Handle)
			default:
				t.Fatalf("the process said: %s", lines.Text())
			}
			if n == 100+70*round {
				_ = child.Process.Kill() // what it said before is read on
			}
		}
		_ = child.Wait()

		s, err := memlease.Open(path, memlease.Options{})
		if err != nil {
			t.Fatal(err)
		}
		seats, err := s.Claim(t.Context(), group, "after")
		if err != nil {
			t.Fatal(err)
		}
		if seats.Epoch() <= epoch {
			t.Fatalf("epoch %d after %d", seats.Epoch(), epoch)
		}
		for id, r := range alive {
			if err := seats.Check(t.Context(), r); err != nil {
				t.Errorf("round %d: an answered grant is lost: %s: %v", round, id, err)
			}
		}
		for id, r := range ended {
			if err := seats.Check(t.Context(), r); !open[id] && license.CodeOf(err) != license.CodeHandleUnknown {
				t.Errorf("round %d: an answered release is lost: %s: %v", round, id, err)
			}
		}
		if round > 0 && (len(alive) == 0 || len(ended) == 0) {
			t.Fatalf("round %d: %d alive, %d ended: nothing to see", round, len(alive), len(ended))
		}
		all, err := seats.List(t.Context(), pool)
		if err != nil {
			t.Fatal(err)
		}
		newest := map[uint32]uint64{}
		for _, h := range all {
			newest[h.Seat] = h.N
		}
		if round > 0 && len(lingers) == 0 {
			t.Fatalf("round %d: nothing lingers", round)
		}
		for seat, r := range lingers {
			// Its client may have come back without an answer.
			if err := seats.Remove(t.Context(), pool, lease.Removal{Handle: r.Handle, By: "root"}); err != nil && newest[seat] <= r.N {
				t.Errorf("round %d: an answered linger is lost: seat %d: %v", round, seat, err)
			}
			delete(lingers, seat)
		}
		events, err := s.Events(t.Context(), group, 0, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		granted := map[string]bool{}
		for _, e := range events {
			if e.Kind == lease.Granted {
				granted[e.Handle] = true
			}
		}
		for id := range alive {
			if !granted[id] {
				t.Errorf("round %d: the event of %s is lost", round, id)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if came == 0 {
		t.Error("nobody came back to a lingering seat")
	}
}

// victim gives and takes seats, and says what was answered, until it is killed.
func victim(t *testing.T, path string) {
	s, err := memlease.Open(path, memlease.Options{})
	if err != nil {
		t.Fatal(err)
	}
	seats, err := s.Claim(t.Context(), group, "victim")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	say := func(what string, r lease.Ref) {
		mu.Lock()
		defer mu.Unlock()
		_, _ = os.Stdout.WriteString(fmt.Sprintln(what, r.Handle, r.Seat, r.N, r.Epoch))
	}
	var wg sync.WaitGroup
	for user := range 8 {
		wg.Go(func() {
			var mine []lease.Ref
			for i := 0; ; i++ {
				if i%3 == 2 {
					r := mine[0]
					mine = mine[1:]
					say("releasing", r)
					word := "released"
					if i%2 == 0 {
						r.Linger, word = time.Hour, "lingers"
					}
					if err := seats.Release(t.Context(), r); err != nil {
						t.Error(err)
						return
					}
					say(word, r)
					continue
				}
				r := by(fmt.Sprint(user, rand.IntN(12)), request(1<<20))
				g, err := seats.Access(t.Context(), r)
				if err != nil {
					t.Error(err)
					return
				}
				mine = append(mine, ref(r, g))
				say("granted", ref(r, g))
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.Log(strings.Repeat("-", 20))
	}
}
