// Package rulebook keeps the rules of who may use which license that count at a
// server: those of a file there, or else those that the platform sent.
package rulebook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/internal/durable"
	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rules"
)

// Config says where rules come from.
type Config struct {
	// File is the administrator's own file. It is watched, and where there is one,
	// it decides: rules that the platform sends are kept, but don't count.
	File string
	// Copy is where the platform's rules are kept, so that they hold after a
	// restart without it; empty: they are forgotten then.
	Copy string
	// Serial is of the container whose licenses the server hands out: a copy made
	// for another one is refused.
	Serial license.Serial
	// Every is how often the file is looked at; 0: two seconds. A change counts
	// when two looks found the same, so that half of a file that is being written
	// never does.
	Every  time.Duration
	Logger *slog.Logger // nil: none
}

// State tells which rules count.
type State struct {
	Set *rules.Set // nil: none, so everybody may
	// Own: they are those of the administrator's own file.
	Own bool
	// Problem is why newer ones don't count; empty: there are none.
	Problem string
	// Version and Digest are of what the platform sent last; zero: nothing yet.
	Version uint64
	Digest  string
}

// Book keeps the rules that count. A newer set that is bad changes nothing:
// the last good one stays. Safe for concurrent use.
type Book struct {
	conf  Config
	log   *slog.Logger
	state atomic.Pointer[State]

	mu     sync.Mutex // of changes
	inside string     // what the file had when it was last taken or refused
	looked string     // what it had at the last look
}

// New reads the file, or else the copy. A server doesn't start with bad
// rules: CodeInvalidInput, CodeNotFound.
func New(c Config) (*Book, error) {
	if c.Every == 0 {
		c.Every = 2 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	b := &Book{conf: c, log: c.Logger}
	state := State{}
	if c.Copy != "" {
		if err := state.readCopy(c.Copy, c.Serial); err != nil {
			return nil, err
		}
	}
	if c.File != "" {
		text, err := readRules(c.File)
		if err != nil {
			return nil, err
		}
		set, err := rules.Parse(text)
		if err != nil {
			return nil, inFile(c.File, err)
		}
		state.Set, state.Own, b.inside, b.looked = set, true, text, text
	}
	b.state.Store(&state)
	return b, nil
}

// State tells which rules count now.
func (b *Book) State() State { return *b.state.Load() }

// Limits is for the Config.Limits of a license server: what the rules that count say of an access.
func (b *Book) Limits(p license.Product, a license.Ask) (lease.Limits, int32, error) {
	out := b.state.Load().Set.Evaluate(p, a)
	limits := lease.Limits{Tags: out.Tags()}
	for _, q := range out.Caps() {
		limits.Caps = append(limits.Caps, lease.Cap{Tag: q.Tag, Most: q.Licenses})
	}
	for _, q := range out.Holds() {
		limits.Holds = append(limits.Holds, lease.Hold{Tag: q.Tag, Least: q.Licenses})
	}
	return limits, out.Priority(), out.Err()
}

// Watch follows the file until ctx ends.
func (b *Book) Watch(ctx context.Context) {
	if b.conf.File == "" {
		<-ctx.Done()
		return
	}
	look := time.NewTicker(b.conf.Every)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
			b.look()
		}
	}
}

func (b *Book) look() {
	b.mu.Lock()
	defer b.mu.Unlock()
	text, err := readRules(b.conf.File)
	if err != nil {
		b.inside, b.looked = unread, unread
		b.problem(err)
		return
	}
	before := b.looked
	b.looked = text
	if text != before || text == b.inside { // it may still be written, or is known
		return
	}
	b.inside = text
	set, err := rules.Parse(text)
	if err != nil {
		b.problem(inFile(b.conf.File, err))
		return
	}
	state := b.State()
	state.Set, state.Problem = set, ""
	b.state.Store(&state)
	b.log.Info("new rules count", "file", b.conf.File, "rules", len(set.Rules()), "digest", set.Digest())
}

// unread is no text of rules: control characters are none.
const unread = "\x00"

// problem notes why newer rules don't count, and logs it once.
func (b *Book) problem(err error) {
	state := b.State()
	if state.Problem == err.Error() {
		return
	}
	state.Problem = err.Error()
	b.state.Store(&state)
	b.log.Warn("new rules don't count, the ones before do", "code", string(license.CodeOf(err)), "error", err)
}

// Take takes a set that the platform sent: durably, before it counts. Where the
// server has a file of its own, that one still decides. A text without any rule
// lets everybody in again. Errors: CodeInvalidInput, and CodeUnavailable where it
// can't be kept; the ones before count then.
func (b *Book) Take(version uint64, text string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	set, err := rules.Parse(text)
	if err == nil && b.conf.Copy != "" {
		err = keep(b.conf.Copy, b.conf.Serial, version, set)
	}
	if err != nil {
		if !b.State().Own {
			b.problem(err)
		}
		return err
	}
	state := b.State()
	state.Version, state.Digest = version, set.Digest()
	if !state.Own {
		state.Set, state.Problem = set, ""
	}
	b.state.Store(&state)
	b.log.Info("the platform sent rules", "version", version, "rules", len(set.Rules()), "digest", set.Digest(), "ownFileDecides", state.Own)
	return nil
}

// inFile puts a file's name before what is wrong in it.
func inFile(name string, err error) error {
	var e *license.Error
	if !errors.As(err, &e) {
		return err
	}
	out := *e
	out.Message = name + ": " + e.Message
	return &out
}

// readRules reads a file of rules, and no more of it than rules may have.
func readRules(path string) (string, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", license.Errorf(license.CodeNotFound, "check its name, or start without rules", "there is no file of rules %s", path)
	}
	if err == nil {
		defer f.Close()
		var b []byte
		if b, err = io.ReadAll(io.LimitReader(f, rules.MostText+1)); err == nil {
			return string(b), nil
		}
	}
	return "", &license.Error{
		Code: license.CodeUnavailable, Message: fmt.Sprintf("the file of rules %s can't be read", path), Fix: "check its permissions", Err: err,
	}
}

// copyMark begins a copy; whose rules they are, the version, the digest and the
// text follow.
const copyMark = "# quorate: the platform's rules for "

func keep(path string, of license.Serial, version uint64, set *rules.Set) error {
	err := func() error {
		f, err := durable.NewFile(path, 0o600)
		if err != nil {
			return err
		}
		defer f.Close()
		if _, err := fmt.Fprintf(f, "%s%s version %d %s\n%s", copyMark, of, version, set.Digest(), set.Text()); err != nil {
			return err
		}
		return f.Commit(true)
	}()
	if err != nil {
		return &license.Error{
			Code: license.CodeUnavailable, Message: fmt.Sprintf("the platform's rules can't be kept in %s", path),
			Fix: "check the folder's permissions and the free space", Err: err,
		}
	}
	return nil
}

// readCopy takes what keep has written. A damaged copy is refused: to go on
// without it could let in whom it keeps out.
func (s *State) readCopy(path string, of license.Serial) error {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return &license.Error{Code: license.CodeUnavailable, Message: fmt.Sprintf("the platform's rules in %s can't be read", path), Fix: "check its permissions", Err: err}
	}
	head, text, _ := strings.Cut(string(b), "\n")
	head, marked := strings.CutPrefix(head, copyMark)
	whose, head, _ := strings.Cut(head, " version ")
	number, digest, _ := strings.Cut(head, " ")
	version, err := strconv.ParseUint(number, 10, 64)
	set, bad := rules.Parse(text)
	if !marked || err != nil || bad != nil || set.Digest() != digest {
		return license.Errorf(license.CodeInvalidInput, "delete it when the platform can be reached: it sends them again",
			"the copy of the platform's rules in %s is damaged", path)
	}
	if whose != of.String() {
		return license.Errorf(license.CodeInvalidInput, "give each server a copy of its own with --rules-copy",
			"the rules in %s are a copy of those for %q, not for %s", path, whose, of)
	}
	s.Set, s.Version, s.Digest = set, version, digest
	return nil
}
