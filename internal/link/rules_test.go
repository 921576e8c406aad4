package link_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/link"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

func (p *platform) Rules(_ context.Context, req *connect.Request[quoratev1.RulesRequest]) (*connect.Response[quoratev1.RulesResponse], error) {
	if err := authorized(req.Header()); err != nil {
		return nil, err
	}
	if err := p.failing("Rules", false); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fetched++
	return connect.NewResponse(&quoratev1.RulesResponse{Version: uint64(len(p.rules)), Text: p.rules[len(p.rules)-1]}), nil
}

func (p *platform) saveRules(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = append(p.rules, text)
}

// rulesDigest stands for the digest of the newest rules; empty: there are none.
func (p *platform) rulesDigest() string {
	if len(p.rules) == 0 {
		return ""
	}
	return "digest of " + p.rules[len(p.rules)-1]
}

// book is a server's rules.
type book struct {
	mu      sync.Mutex
	text    string
	version uint64
	taken   int
	refuse  error
	status  link.RulesStatus
}

func (b *book) Status() link.RulesStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.status
}

func (b *book) Take(version uint64, text string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.taken++
	if b.refuse != nil {
		b.status.Problem = b.refuse.Error()
		return b.refuse
	}
	b.text, b.version = text, version
	b.status = link.RulesStatus{Digest: "digest of " + text}
	return nil
}

func (b *book) has(text string, version uint64) func() bool {
	return func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.text == text && b.version == version
	}
}

func (b *book) tries() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.taken
}

func ruled(t *testing.T, leading bool, f func(t *testing.T, l *lab, b *book)) {
	t.Helper()
	bubble(t, func(t *testing.T, l *lab) {
		b := &book{}
		l.conf.Rules = b
		if !leading {
			l.conf.Leading = func() (bool, uint64) { return false, 0 }
		}
		f(t, l, b)
	})
}

// Rules come to every server of a group, whether it leads or not, and once.
func TestRulesAreFetched(t *testing.T) {
	for _, leading := range []bool{true, false} {
		ruled(t, leading, func(t *testing.T, l *lab, b *book) {
			l.start()
			time.Sleep(5 * time.Second)
			synctest.Wait()
			if b.tries() != 0 {
				t.Error("rules were taken where none were saved")
			}
			l.platform.saveRules("deny user:anna")
			eventually(t, 2*time.Second, "the rules", b.has("deny user:anna", 1))
			l.platform.saveRules("deny user:ben")
			eventually(t, 2*time.Second, "the second rules", b.has("deny user:ben", 2))
			time.Sleep(time.Minute)
			synctest.Wait()
			if n := b.tries(); n != 2 {
				t.Errorf("taken %d times", n)
			}
			if s := l.platform.lastPush().GetRules(); s.GetDigest() != "digest of deny user:ben" || s.GetOwnFile() || s.GetProblem() != "" {
				t.Errorf("the platform is told %v", s)
			}
		})
	}
}

func TestRulesAreFetchedAgain(t *testing.T) {
	ruled(t, true, func(t *testing.T, l *lab, b *book) {
		var failed int
		l.platform.setFault(func(call string, _ bool) error {
			if call == "Rules" && failed < 5 {
				failed++
				return license.Errorf(license.CodeUnavailable, "x", "told to fail")
			}
			return nil
		})
		l.platform.saveRules("deny user:anna")
		l.start()
		eventually(t, 20*time.Second, "the rules", b.has("deny user:anna", 1))
	})
}

// What a server can't take is told, and tried again only once in a while.
func TestRulesThatAreRefused(t *testing.T) {
	ruled(t, true, func(t *testing.T, l *lab, b *book) {
		b.refuse = license.Errorf(license.CodeUnavailable, "x", "the disk is full%s", strings.Repeat("ä", 1000))
		l.platform.saveRules("deny user:anna")
		l.start()
		time.Sleep(10*time.Minute + 30*time.Second)
		synctest.Wait()
		if n := b.tries(); n < 10 || n > 12 {
			t.Errorf("tried %d times in ten minutes", n)
		}
		if p := l.platform.lastPush().GetRules().GetProblem(); !strings.HasPrefix(p, "the disk is full") || len(p) > 500 || strings.ContainsRune(p, '\ufffd') {
			t.Errorf("the platform is told %q", p)
		}
		b.mu.Lock()
		b.refuse = nil
		b.mu.Unlock()
		l.platform.saveRules("deny user:ben") // another set is tried at once
		eventually(t, 2*time.Second, "the second rules", b.has("deny user:ben", 2))
	})
}

// A server without rules of its own says so, and fetches none.
func TestNoRules(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		l.platform.saveRules("deny user:anna")
		l.start()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if l.platform.lastPush().GetRules() != nil || l.platform.fetched != 0 {
			t.Error("a server without rules fetches them")
		}
	})
}
