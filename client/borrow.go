package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/quorate/quorate/client/internal/borrowed"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// Borrowed is a license that was borrowed by a program of this user on this
// computer.
type Borrowed struct {
	ID       string // of the handle
	Product  string
	Mode     Mode
	Licenses uint32
	Until    time.Time
	InUse    bool // a program uses it now
}

// match is a digest of all that a request asks for but the time: who asks the same
// again gets what he has. The station is part of it where it is shared; else the
// user may have signed in anew.
func (a *asking) match() string {
	same := proto.CloneOf(a.AccessRequest)
	same.RequestId, same.BorrowMs, same.WaitMs, same.Client.Process = "", 0, 0, 0
	if same.Mode != quoratev1.AccessMode_ACCESS_MODE_STATION_SHARE {
		same.Client.Station = ""
	}
	b, _ := proto.MarshalOptions{Deterministic: true}.Marshal(same) // a message of texts and numbers can always be
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// folder makes the folder where borrowed licenses are kept.
func (c *Client) folder() (borrowed.Folder, error) {
	dir := c.cfg.BorrowDir
	if dir == "" {
		config, err := os.UserConfigDir()
		if err != nil {
			return borrowed.Folder{}, cannotKeep(err)
		}
		dir = filepath.Join(config, "quorate", "borrowed")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return borrowed.Folder{}, cannotKeep(err)
	}
	return borrowed.Folder{Dir: dir, Lock: c.lock, Now: func() time.Time { return c.now().wall }, Log: c.log}, nil
}

func cannotKeep(err error) error {
	return &Error{
		Code: CodeInvalidInput, Message: "a borrowed license can't be kept: " + err.Error(),
		Fix: "name a folder of this user with Config.BorrowDir, or QUORATE_BORROWED", cause: err,
	}
}

// sharable says whether several programs may use a borrowed handle at once.
func sharable(m *quoratev1.Handle) bool {
	mode, _ := rpc.ModeFrom(m.GetMode())
	return Mode(mode) == StationShare || Mode(mode) == NoUserLimit
}

// loan is an access that borrows.
type loan struct {
	folder  borrowed.Folder
	match   string
	request *borrowed.Request // nil: there are no locks
	repeats bool              // the request of a program that was killed
}

// borrow gives a handle of before, or else takes one: one that a killed program may
// have been granted, if there is.
func (c *Client) borrow(ctx context.Context, a *asking, product string) (*Handle, error) {
	dir, err := c.folder()
	if err != nil {
		return nil, err
	}
	b := &loan{folder: dir, match: a.match()}
	if h := c.reopen(ctx, dir, b.match, product); h != nil {
		return c.begun(ctx, h)
	}
	servers := sentTo(c.servers.cfg.Servers)
	var back []<-chan struct{}
	for _, r := range dir.Lost(servers) {
		if r.Match == b.match && b.request == nil {
			b.request, b.repeats = r, true
		} else { // nobody asks for it any more
			back = append(back, c.giveBack(r.Message, false, true, r))
		}
	}
	c.await(ctx, back)
	if b.repeats {
		again := *a
		again.AccessRequest = b.request.Message // as it was: else it is another request
		h, err := c.take(ctx, &again, product, b)
		if code := CodeOf(err); !fatal(code) && code != CodeRequestMismatch {
			return h, err
		}
		b.repeats = false // what was granted is over, or can't be had
	}
	if b.request, err = dir.Ask(a.AccessRequest, b.match, servers); err != nil {
		return nil, cannotKeep(err)
	}
	return c.take(ctx, a, product, b)
}

// await waits for what is given back, which may be what is asked for next; but not
// for long.
func (c *Client) await(ctx context.Context, back []<-chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, parting)
	defer cancel()
	for _, over := range back {
		select {
		case <-over:
		case <-ctx.Done():
		}
	}
}

// sentTo is a digest of the servers that a request is sent to.
func sentTo(servers []string) string {
	sum := sha256.Sum256([]byte(strings.Join(servers, " ")))
	return hex.EncodeToString(sum[:])
}

// keep writes down what was granted; whoever is killed before has left the request.
func (c *Client) keep(ctx context.Context, b *loan, a *asking, h *Handle, m *quoratev1.Handle) (err error) {
	if h.Info().Borrowed {
		if h.lent, err = b.folder.Keep(a.RequestId, b.match, h.product, m, h.asked.wall, sharable(m)); err != nil {
			if c.releaseToken(ctx, h.currentToken()) != nil {
				b.request.Leave()
				return cannotKeep(err)
			}
		}
	}
	b.request.Settle()
	if err != nil {
		return cannotKeep(err)
	}
	return nil
}

// reopen gives a borrowed handle of before that nobody uses, or nil. No server is
// asked: that is what it was borrowed for.
func (c *Client) reopen(ctx context.Context, dir borrowed.Folder, match, product string) *Handle {
	paths := dir.Files()
	all := len(paths)
	for try := 0; ; try++ {
		var busy []string
		for _, path := range paths {
			f := dir.Read(path)
			if f == nil || dir.Swept(f, all) {
				continue
			}
			if f.Match != match || f.Over() {
				f.Leave()
				continue
			}
			if !f.Lock(sharable(f.Handle)) {
				busy = append(busy, path)
			} else if h := c.resume(f, product); h != nil {
				return h
			}
			f.Leave()
		}
		if paths = busy; len(busy) == 0 || try == borrowed.Tries || wait(ctx, borrowed.Pause) != nil {
			return nil
		}
	}
}

// resume gives the handle of a file that is locked; nil where its time is over, or
// it was returned meanwhile.
func (c *Client) resume(f *borrowed.Loan, product string) *Handle {
	asked := c.now()
	f.Timed(asked.wall)
	if !f.There() || f.Over() {
		return nil
	}
	asked.mono, asked.wall = asked.mono-f.Ago, asked.wall.Add(-f.Ago)
	h := newHandle(c, product, true)
	if !h.adopt(f.Handle, asked) {
		h.cancel()
		return nil
	}
	h.lent = &f.File
	return h
}

// Borrowed gives the licenses that programs of this user have borrowed on this
// computer, and that are neither returned nor over. It asks no server.
func (c *Client) Borrowed() ([]Borrowed, error) {
	dir, err := c.folder()
	if err != nil {
		return nil, err
	}
	var all []Borrowed
	paths := dir.Files()
	for _, path := range paths {
		f := dir.Read(path)
		if f == nil || dir.Swept(f, len(paths)) {
			continue
		}
		free := f.Lock(false)
		gone := f.Ended() || !f.There()
		f.Leave()
		if gone {
			continue
		}
		mode, _ := rpc.ModeFrom(f.Handle.GetMode())
		all = append(all, Borrowed{
			ID: f.ID(), Product: f.Product, Mode: Mode(mode), Licenses: max(1, f.Handle.GetLicenses()),
			Until: c.now().wall.Add(max(0, f.Life()-f.Ago)), InUse: !free,
		})
	}
	slices.SortFunc(all, func(a, b Borrowed) int { return a.Until.Compare(b.Until) })
	return all, nil
}

// Return gives a borrowed license back before its time. It fails with
// CodeBorrowed while a program uses it, and with CodeHandleUnknown where it isn't
// borrowed here.
func (c *Client) Return(ctx context.Context, id string) error {
	dir, err := c.folder()
	if err != nil {
		return err
	}
	f := dir.Find(id)
	switch {
	case f == nil:
		return &Error{Code: CodeHandleUnknown, Message: "no license with the id " + id + " is borrowed here", Fix: "quorate return shows which are"}
	case !f.LockSoon(ctx, false):
		f.Leave()
		return &Error{Code: CodeBorrowed, Message: "a program uses the borrowed license for " + f.Product, Fix: "end the program, then return it"}
	}
	ctx, cancel := c.bounded(ctx, farewell)
	defer cancel()
	if err := c.releaseToken(ctx, f.Handle.GetToken()); err != nil && !fatal(CodeOf(err)) {
		f.Close(c.now().wall)
		return err
	}
	f.Remove()
	return nil
}

// park ends a borrowed handle here; the license stays borrowed.
func (h *Handle) park() {
	first := h.end(&Error{Code: CodeHandleUnknown, Message: "the client was closed; the license stays borrowed", Fix: "access it again with WithBorrow"})
	<-h.kept
	if first {
		h.lent.Close(h.client.now().wall)
	}
}

// expire ends a handle whose time is over by the clocks here. They may be wrong:
// what was borrowed can still be returned.
func (h *Handle) expire(last *Error) bool {
	first := h.end(h.expired(last))
	if first {
		h.lent.Close(h.client.now().wall)
	}
	return first
}

// lose ends a handle that is over for everybody, as a server says.
func (h *Handle) lose(reason error) bool {
	first := h.end(reason)
	if first {
		h.lent.Remove()
	}
	return first
}
