package tmr_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/license"
)

func TestOpenKeyTakesTurns(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		g := l.run()
		for range 9 {
			if _, err := g.OpenKey(t.Context(), product, []byte("w"), l.token()); err != nil {
				t.Fatal(err)
			}
		}
		for i, c := range l.containers {
			if n := c.Calls("OpenKey"); n != 3 {
				t.Errorf("backend %d opened %d of 9", i+1, n)
			}
		}
		// One that runs ahead is spared while the other two hold what is in force.
		l.containers[0].Set(held(30, 8))
		l.await(l.status("1:(#8) 2:#7 3:#7"))
		for range 9 {
			if _, err := g.OpenKey(t.Context(), product, []byte("w"), l.token()); err != nil {
				t.Fatal(err)
			}
		}
		if n := l.containers[0].Calls("OpenKey"); n != 3 {
			t.Errorf("backend 1 opened %d more", n-3)
		}
	})
}

func TestOpenKeyIsTriedElsewhere(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		g := l.run()
		l.containers[0].Set(held(30, 8)) // the last resort
		l.await(l.status("1:(#8) 2:#7 3:#7"))
		broken := func(call string, _ bool) error {
			if call == "OpenKey" {
				return license.Errorf(license.CodeContainerCorrupt, "x", "told to fail")
			}
			return nil
		}
		l.containers[1].Fault(broken)
		l.containers[2].Fault(broken)
		for range 3 {
			if key, err := g.OpenKey(t.Context(), product, []byte("w"), l.token()); err != nil || string(key) != "opened by "+serials[0].String() {
				t.Errorf("got %q, %v", key, err)
			}
		}
		l.containers[0].Fault(broken)
		if _, err := g.OpenKey(t.Context(), product, []byte("w"), l.token()); license.CodeOf(err) != license.CodeContainerCorrupt {
			t.Errorf("all broken: %v", err)
		}
	})
}

// Until a dead backend is seen, calls that go to it end in time and elsewhere.
func TestOpenKeyWhileABackendDies(t *testing.T) {
	for name, die := range map[string]func(l *lab){
		"silent":  func(l *lab) { l.network.Cut(addr(1)) },
		"crashed": func(l *lab) { l.kill(1) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *lab) {
				g := l.run()
				die(l)
				for range 3 {
					began := time.Now()
					if _, err := g.OpenKey(t.Context(), product, []byte("w"), l.token()); err != nil {
						t.Error(err)
					}
					if took := time.Since(began); took > 500*time.Millisecond {
						t.Errorf("it took %v", took)
					}
				}
			})
		})
	}
}

// That none of them answers is nothing that a program has to know of: it tries
// again. What one of them says is told, whichever is asked first.
func TestOpenKeyThatNoBackendAnswers(t *testing.T) {
	for silent := 2; silent <= license.Backends; silent++ {
		bubble(t, func(t *testing.T, l *lab) {
			g := l.run()
			l.containers[2].Fault(func(call string, _ bool) error {
				if call == "OpenKey" {
					return license.Errorf(license.CodeContainerCorrupt, "x", "told to fail")
				}
				return nil
			})
			for i := range silent {
				l.network.Cut(addr(i))
			}
			const attempt = 3 * time.Second // of a program at a license server
			began := time.Now()
			_, err := g.OpenKey(t.Context(), product, []byte("w"), l.token())
			if took := time.Since(began); silent == 2 && took >= attempt {
				t.Errorf("it took %v", took)
			}
			if silent == license.Backends {
				coded(t, "no backend answers", err, license.CodeUnavailable)
				if !errors.Is(err, &license.Error{Code: license.CodeBackendAbsent}) {
					t.Errorf("the cause is lost: %v", errors.Unwrap(err))
				}
				return
			}
			coded(t, "one says that it is broken", err, license.CodeContainerCorrupt)
		})
	}
}

func TestOpenKeyRefusals(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		g := l.run()
		another := license.Product{Firm: 6000010, Code: 15}
		if _, err := g.OpenKey(t.Context(), another, []byte("w"), l.token()); license.CodeOf(err) != license.CodeNoLicense {
			t.Errorf("another product: %v", err)
		}
		if _, err := g.OpenKey(t.Context(), product, []byte("w"), []byte("forged")); err == nil {
			t.Error("a forged token opens")
		}
		for _, c := range l.containers {
			c.Fault(func(string, bool) error {
				return license.Errorf(license.CodeKeyRefused, "x", "not wrapped for this")
			})
		}
		before := l.opened()
		if _, err := g.OpenKey(t.Context(), product, []byte("w"), l.token()); license.CodeOf(err) != license.CodeKeyRefused {
			t.Errorf("a refused key: %v", err)
		}
		if n := l.opened() - before; n != 1 {
			t.Errorf("it was tried %d times", n)
		}
		synctest.Wait()
	})
}

func (l *lab) opened() (n int) {
	for _, c := range l.containers {
		n += c.Calls("OpenKey")
	}
	return n
}
