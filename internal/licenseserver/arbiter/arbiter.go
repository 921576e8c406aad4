// Package arbiter says which of several license servers is to lead: by the file
// that keepalived writes, or by an election. Neither authorises anything: only a
// claimed epoch does.
package arbiter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
)

// RoleFile follows a file that keepalived's notify script writes: it leads
// while the first word is MASTER. BACKUP, FAULT, STOP, any other word and a
// missing file mean that it doesn't.
//
//	notify "/bin/sh -c 'echo $3 > /run/quorate/role' --"
type RoleFile struct {
	Path string
	// Poll is how often the file is read; 0: 50 ms.
	Poll   time.Duration
	Logger *slog.Logger // nil: none
}

// Arbitrate implements licenseserver.Arbiter.
func (f RoleFile) Arbitrate(ctx context.Context, tell func(bool)) {
	poll := f.Poll
	if poll <= 0 {
		poll = 50 * time.Millisecond
	}
	log := orDiscard(f.Logger)
	var (
		lead, blank bool
		last        string
	)
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		word, err := firstWord(f.Path)
		switch {
		case err == nil && word == "" && !blank:
			// The script has emptied the file and not written it yet: the word
			// of before holds for one more look.
			blank = true
		default:
			blank = word == ""
			if now := word == "MASTER"; now != lead {
				lead = now
				tell(lead)
			}
			state := word
			if err != nil {
				state = err.Error()
			}
			if state != last {
				log.Info("role file", "path", f.Path, "role", word, "lead", lead, "error", err)
				last = state
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func firstWord(path string) (string, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("role file: %w", fs.ErrNotExist)
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 256))
	if err != nil {
		return "", err
	}
	word, _, _ := strings.Cut(strings.TrimSpace(string(b)), " ")
	word, _, _ = strings.Cut(word, "\n")
	return strings.TrimSpace(word), nil
}

// DefaultTerm is how long an election won holds without being confirmed.
const DefaultTerm = 2 * time.Second

// Election leads while a lease.Elector says so. It confirms every quarter of
// the term and waits for an answer for half of it; what can't be confirmed ends
// by this server's own clock, counted from before it asked. On a stop it
// resigns, so the standby takes over at its next look.
type Election struct {
	Elector lease.Elector
	Group   license.Serial
	Owner   string        // unique among the group's servers
	Term    time.Duration // 0: DefaultTerm
	// Fit says whether this server could serve now, for example whether it sees
	// two backends; nil: always. A leader that is unfit for half a term resigns
	// and stands back for two, so that one who is fit may lead. It does so once:
	// where nobody is fit, they don't take turns.
	Fit    func() bool
	Logger *slog.Logger // nil: none
}

// Arbitrate implements licenseserver.Arbiter.
func (e Election) Arbitrate(ctx context.Context, tell func(bool)) {
	term := e.Term
	if term <= 0 {
		term = DefaultTerm
	}
	log := orDiscard(e.Logger)
	var (
		lead, warned bool
		until        time.Time // our own trust in the last confirmation ends here
		reached      = time.Now()
		unfit        time.Time // since when; zero: fit
		back         time.Time // stands back until then; zero: has not since it was fit
	)
	say := func(now bool) {
		if now != lead {
			lead = now
			tell(lead)
		}
	}
	ticker := time.NewTicker(term / 4)
	defer ticker.Stop()
	for ctx.Err() == nil {
		asked := time.Now()
		switch {
		case e.Fit == nil || e.Fit():
			unfit, back = time.Time{}, time.Time{}
		case unfit.IsZero():
			unfit = asked
		case lead && back.IsZero() && asked.Sub(unfit) >= term/2:
			log.Warn("this server can't serve; another one may lead", "group", e.Group.String())
			say(false)
			e.resign(ctx, term, log)
			back = asked.Add(2 * term)
		}
		if asked.Before(back) {
			select {
			case <-ctx.Done():
			case <-ticker.C:
			}
			continue
		}
		most := term / 2
		if lead {
			most = min(most, until.Sub(asked))
		}
		call, cancel := context.WithTimeout(ctx, most)
		leader, err := e.Elector.Campaign(call, e.Group, e.Owner, term)
		cancel()
		switch {
		case err != nil:
			// At a start, and after one lost call, it is there a moment later.
			if ctx.Err() == nil && !warned && asked.Sub(reached) >= term {
				warned = true
				log.Warn("election not reachable", "group", e.Group.String(), "error", err)
			}
			say(lead && time.Now().Before(until))
		default:
			warned, reached, until = false, asked, asked.Add(term)
			say(leader == e.Owner && time.Now().Before(until))
		}
		var over <-chan time.Time
		if lead {
			over = time.After(time.Until(until))
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		case <-over:
		}
	}
	say(false)
	e.resign(ctx, term, log)
}

// resign gives the leadership up, even if we believe not to have it: a campaign
// whose answer was lost may have won, and the standby needn't wait its term out.
func (e Election) resign(ctx context.Context, term time.Duration, log *slog.Logger) {
	call, cancel := context.WithTimeout(context.WithoutCancel(ctx), term)
	defer cancel()
	if err := e.Elector.Resign(call, e.Group, e.Owner); err != nil {
		log.Warn("could not resign; the standby takes over when the term runs out",
			"group", e.Group.String(), "error", err)
	}
}

func orDiscard(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.New(slog.DiscardHandler)
	}
	return l
}
