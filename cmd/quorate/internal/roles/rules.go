package roles

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/licenseserver/rulebook"
	"github.com/quorate/quorate/internal/link"
	"github.com/quorate/quorate/internal/rpc"
)

// ruleFlags say who may use which license.
type ruleFlags struct {
	Rules     string `help:"File of rules: who may use which license (docs/rules.md; quorate rules check reads it). It is watched, and decides in place of the platform's rules." env:"QUORATE_RULES" placeholder:"FILE"`
	RulesCopy string `help:"Where the rules that the platform sends are kept, so that they hold after a restart without it." default:"rules.copy" env:"QUORATE_RULES_COPY" placeholder:"FILE"`
}

// book reads the rules; those of the platform only where there is one.
func (f ruleFlags) book(of license.Serial, platform string, logger *slog.Logger) (*ruleBook, error) {
	c := rulebook.Config{File: f.Rules, Serial: of, Logger: logger}
	if platform != "" {
		c.Copy = f.RulesCopy
	}
	return newRuleBook(c)
}

// ruleBook is a server's rules, as the link and the server's health want them.
type ruleBook struct {
	*rulebook.Book
}

func newRuleBook(c rulebook.Config) (*ruleBook, error) {
	b, err := rulebook.New(c)
	if err != nil {
		return nil, err
	}
	return &ruleBook{b}, nil
}

// Status implements link.Rules.
func (b *ruleBook) Status() link.RulesStatus {
	s := b.State()
	return link.RulesStatus{Digest: s.Digest, Own: s.Own, Problem: s.Problem}
}

// watch follows the file until stop is called.
func (b *ruleBook) watch() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.Watch(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// health answers ok, and tells that newer rules don't count: why, an
// administrator alone is told, since the reason may show a line of them.
func (b *ruleBook) health(adminToken string) route {
	return route{healthPath, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintln(w, "ok")
		problem := b.State().Problem
		if problem == "" {
			return
		}
		if rpc.Administrator(adminToken, r.Header, connect.Peer{Addr: r.RemoteAddr}, "") != nil {
			problem = "the server's log says why"
		}
		_, _ = fmt.Fprintf(w, "newer rules don't count, the ones before do: %s\n", problem)
	})}
}
