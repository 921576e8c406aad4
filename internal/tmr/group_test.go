package tmr_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/tmr"
)

// Rows 1 and 5 to 9 of the availability table, as far as backends make them.
func TestAvailability(t *testing.T) {
	for name, c := range map[string]struct {
		down []int
		want string
		ok   bool
	}{
		"all up":        {nil, "1:#7 2:#7 3:#7", true},
		"1 down":        {[]int{0}, "1:- 2:#7 3:#7", true},
		"2 down":        {[]int{1}, "1:#7 2:- 3:#7", true},
		"3 down":        {[]int{2}, "1:#7 2:#7 3:-", true},
		"2 and 3 down":  {[]int{1, 2}, "1:(#7) 2:- 3:-", false},
		"nobody is up":  {[]int{0, 1, 2}, "1:- 2:- 3:-", false},
		"1 and 3 again": {[]int{0, 2}, "1:- 2:(#7) 3:-", false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *lab) {
				g := l.run()
				for _, i := range c.down {
					l.kill(i)
				}
				l.await(l.status(c.want))
				key, err := g.OpenKey(t.Context(), product, []byte("w"), l.token())
				if c.ok != (err == nil) || (!c.ok && license.CodeOf(err) != license.CodeNoMajority) {
					t.Errorf("access: %q, %v", key, err)
				}
				for _, i := range c.down {
					l.start(i)
				}
				l.await(l.status("1:#7 2:#7 3:#7"))
				if _, err := g.OpenKey(t.Context(), product, []byte("w"), l.token()); err != nil {
					t.Errorf("after the start: %v", err)
				}
			})
		})
	}
}

// The update table: the views of a whole update are exactly its stages.
func TestUpdateStages(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		g := l.run()
		ctx, cancel := context.WithCancel(t.Context())
		type stage struct {
			status   string
			quantity uint32
			cells    string
		}
		stages := make(chan stage, 100)
		watched := make(chan struct{})
		go func() {
			defer close(watched)
			for v, err := range watch(ctx, g) {
				if err != nil {
					t.Error(err)
					return
				}
				h, _ := v.Headline()
				var cells []string
				for _, c := range h.Cells {
					cells = append(cells, c.String())
				}
				stages <- stage{v.Status(), h.Options.Quantity, strings.Join(cells, " ")}
			}
		}()
		if _, err := g.Collect(ctx, []byte("0123456789abcdef")); err != nil {
			t.Fatal(err)
		}
		var updates []*quoratev1.BackendUpdate
		for i := range serials {
			updates = append(updates, update(i, held(30, 8)))
		}
		if err := g.Stage(ctx, updates); err != nil {
			t.Fatal(err)
		}
		for i := range serials {
			if _, err := g.Statements(ctx, i+1, []byte("0123456789abcdef")); err != nil {
				t.Fatal(err)
			}
			receipt, err := g.Activate(ctx, i+1, updates[i])
			if err != nil || string(receipt) != "receipt "+serials[i].String() {
				t.Fatalf("receipt %q, %v", receipt, err)
			}
			if err := g.Verify(ctx, i+1, map[license.Product]uint32{product: 8}, 300*time.Millisecond); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		cancel()
		<-watched
		close(stages)
		want := []stage{
			{"1:#7 2:#7 3:#7", 20, "#7 #7 #7"},
			{"1:- 2:#7 3:#7", 20, "- #7 #7"},
			{"1:(#8) 2:#7 3:#7", 20, "(#8) #7 #7"},
			{"1:(#8) 2:- 3:#7", 20, "(#8) - #7"},
			{"1:#8 2:#8 3:(#7)", 30, "#8 #8 (#7)"},
			{"1:#8 2:#8 3:-", 30, "#8 #8 -"},
			{"1:#8 2:#8 3:#8", 30, "#8 #8 #8"},
		}
		n := 0
		for got := range stages {
			if n >= len(want) || got != want[n] {
				t.Errorf("stage %d is %+v", n, got)
			}
			n++
		}
		if n != len(want) {
			t.Errorf("%d stages instead of %d", n, len(want))
		}
	})
}

// A backend that dies in the middle of an update takes nothing away.
func TestBackendLostInMidUpdate(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		g := l.run()
		if _, err := g.Activate(t.Context(), 1, update(0, held(30, 8))); err != nil {
			t.Fatal(err)
		}
		l.kill(2)
		v := l.await(func(v license.View) bool { return v.Backends[2] == license.Absent })
		if h, _ := v.Headline(); !h.InForce || h.Options.Quantity != 20 {
			t.Errorf("with 1 activating and 3 lost: %+v", h)
		}
	})
}

func TestDeadBackendIsSeenWithinHalfASecond(t *testing.T) {
	for name, die := range map[string]func(l *lab){
		"silent":  func(l *lab) { l.network.Cut(addr(1)) },
		"crashed": func(l *lab) { l.kill(1) },
		"reset":   func(l *lab) { l.network.Cut(addr(1)); l.network.Reset(addr(1)) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *lab) {
				g := l.run()
				time.Sleep(time.Second) // of the bubble: in the middle of the beats
				began := time.Now()
				die(l)
				v := l.await(func(v license.View) bool { return v.Backends[1] == license.Absent })
				if took := time.Since(began); took > 500*time.Millisecond {
					t.Errorf("it took %v", took)
				}
				if v.Status() != "1:#7 2:- 3:#7" {
					t.Errorf("status %s", v.Status())
				}
				h := g.Health()[1]
				if h.Presence != license.Absent || h.Reason == "" || time.Since(h.Seen) > time.Second {
					t.Errorf("health %+v", h)
				}
				l.network.Heal(addr(1))
				if name == "crashed" {
					l.start(1)
				}
				began = time.Now()
				l.await(l.status("1:#7 2:#7 3:#7"))
				if took := time.Since(began); took > 500*time.Millisecond {
					t.Errorf("it came back after %v", took)
				}
				if h := g.Health()[1]; h.Presence != license.Present || h.Reason != "" || h.Position != 2 || h.Serial != serials[1] {
					t.Errorf("health %+v", h)
				}
			})
		})
	}
}

func TestChangesAreSeen(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.run()
		began := time.Now()
		l.containers[0].Set(held(30, 8))
		l.await(l.status("1:(#8) 2:#7 3:#7"))
		l.containers[0].Set()
		l.await(l.status("1:- 2:#7 3:#7"))
		if took := time.Since(began); took != 0 {
			t.Errorf("changes took %v", took)
		}
	})
}

func TestForeignBackendsAreAbsent(t *testing.T) {
	for name, c := range map[string]struct {
		spoil  func(*tmr.Config)
		reason string
	}{
		"serial":        {func(c *tmr.Config) { c.Backends[2].Serial.Number++ }, "instead of 130-3879235"},
		"activation id": {func(c *tmr.Config) { c.ActivationID[0]++ }, "activation id"},
		"pin":           {func(c *tmr.Config) { c.Backends[2].Pin = newKey(t).Pin() }, "pinned"},
		"address":       {func(c *tmr.Config) { c.Backends[2].URL = "https://nowhere:1" }, "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *lab) {
				c.spoil(&l.conf)
				g, err := tmr.NewGroup(l.conf)
				if err != nil {
					t.Fatal(err)
				}
				l.group = g
				if err := g.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(5 * time.Second) // of the bubble
				h := g.Health()[2]
				if h.Presence != license.Absent || !strings.Contains(h.Reason, c.reason) {
					t.Errorf("health %+v", h)
				}
				if n := strings.Count(l.log.String(), c.reason); n == 0 || n > 3 {
					t.Errorf("the reason is logged %d times:\n%s", n, l.log.String())
				}
				if _, err := g.Collect(t.Context(), []byte("0123456789abcdef")); license.CodeOf(err) != license.CodeBackendAbsent {
					t.Errorf("collecting: %v", err)
				}
			})
		})
	}
}

func TestStop(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		g := l.run()
		ended := make(chan struct{}, 2)
		for range 2 {
			go func() {
				for range watch(context.Background(), g) {
				}
				ended <- struct{}{}
			}()
		}
		if _, err := g.Activate(t.Context(), 1, update(0, held(30, 8))); err != nil {
			t.Fatal(err)
		}
		verified := make(chan error, 1)
		go func() { verified <- g.Verify(context.Background(), 2, map[license.Product]uint32{product: 9}, 0) }()
		synctest.Wait()
		g.Stop()
		g.Stop()
		<-ended
		<-ended
		if err := <-verified; license.CodeOf(err) != license.CodeUnavailable {
			t.Errorf("Verify: %v", err)
		}
		if err := g.Start(t.Context()); err == nil {
			t.Error("a stopped group starts again")
		}
		if _, err := g.OpenKey(t.Context(), product, nil, nil); license.CodeOf(err) != license.CodeUnavailable {
			t.Errorf("OpenKey: %v", err)
		}
		if _, err := g.Collect(t.Context(), nil); license.CodeOf(err) != license.CodeUnavailable {
			t.Errorf("Collect: %v", err)
		}
		if v := g.View(); v.Status() != "1:- 2:#7 3:#7" {
			t.Errorf("the last view is gone: %s", v.Status())
		}
	})
}

func TestStopBeforeStart(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		g, err := tmr.NewGroup(l.conf)
		if err != nil {
			t.Fatal(err)
		}
		if v := g.View(); v.Version != 1 || v.PresentCount() != 0 || v.Status() != "1:- 2:- 3:-" {
			t.Errorf("before Start: %+v", v)
		}
		if h := g.Health()[0]; h.Presence != license.Absent || !h.Seen.IsZero() {
			t.Errorf("before Start: %+v", h)
		}
		g.Stop()
		if err := g.Start(t.Context()); err == nil {
			t.Error("a stopped group starts")
		}
	})
}

func TestTheContextStopsItToo(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		g, err := tmr.NewGroup(l.conf)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		if err := g.Start(ctx); err != nil {
			t.Fatal(err)
		}
		if err := g.Start(ctx); err == nil {
			t.Error("a group starts twice")
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		g.Stop()
	})
}

func TestConfigRefusals(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		for name, spoil := range map[string]func(*tmr.Config){
			"no name":        func(c *tmr.Config) { c.Name = "" },
			"no key":         func(c *tmr.Config) { c.Key = nil },
			"no virtual":     func(c *tmr.Config) { c.Virtual = serials[0] },
			"order":          func(c *tmr.Config) { c.Backends[0], c.Backends[1] = c.Backends[1], c.Backends[0] },
			"no serial":      func(c *tmr.Config) { c.Backends[0].Serial = license.Serial{} },
			"virtual serial": func(c *tmr.Config) { c.Backends[0].Serial = virtual },
			"no pin":         func(c *tmr.Config) { c.Backends[0].Pin = "" },
			"plain http":     func(c *tmr.Config) { c.Backends[0].URL = "http://backend1" },
			"same serial":    func(c *tmr.Config) { c.Backends[0].Serial = serials[2] },
			"same pin":       func(c *tmr.Config) { c.Backends[0].Pin = c.Backends[2].Pin },
			"same address":   func(c *tmr.Config) { c.Backends[0].URL = c.Backends[2].URL },
			"fast beat":      func(c *tmr.Config) { c.Beat = time.Millisecond },
			"no patience":    func(c *tmr.Config) { c.Patience = 150 * time.Millisecond },
		} {
			c := l.conf
			spoil(&c)
			if _, err := tmr.NewGroup(c); license.CodeOf(err) != license.CodeInvalidInput {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
