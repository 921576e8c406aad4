package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

const (
	// mostKept bounds a file of a borrowed license, and mostBorrowed how many of
	// them are looked at.
	mostKept     = 64 << 10
	mostBorrowed = 1000
	keptEnd      = ".borrowed"
	// keptOn is how long the file of a license that seems to be over is kept to be
	// returned, for the clock may have been wrong; fewKept is among how many files.
	keptOn  = 30 * 24 * time.Hour
	fewKept = 100
	// Nobody writes on a new file for longer than newFor.
	newStart = ".new-"
	newFor   = time.Minute
	// Who looks into a file has it locked for an instant: a lock that fails is tried
	// again, so often and after so long.
	lockTries = 5
	lockPause = 10 * time.Millisecond
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

// kept is the file of a borrowed handle, locked by whoever uses it: it has the
// handle's token, so nobody else may read it. Its time is the latest that was seen
// by who used it.
type kept struct {
	path string
	file *os.File
}

// keptFile is what is in it.
type keptFile struct {
	Version int       `json:"version"`
	Product string    `json:"product"`
	Match   string    `json:"match"` // of what was asked for
	Asked   time.Time `json:"asked"` // when, before the request was sent
	Handle  []byte    `json:"handle"`
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

// borrowDir makes the folder where borrowed licenses are kept.
func (c *Client) borrowDir() (string, error) {
	dir := c.cfg.BorrowDir
	if dir == "" {
		config, err := os.UserConfigDir()
		if err != nil {
			return "", cannotKeep(err)
		}
		dir = filepath.Join(config, "quorate", "borrowed")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", cannotKeep(err)
	}
	return dir, nil
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

// keepBorrowed writes a handle down under the id that it was asked for by, for
// programs of later. Where there are no locks it keeps nothing, and gives nil: the
// handle is its program's alone.
func (c *Client) keepBorrowed(dir, id, match string, m *quoratev1.Handle, product string, asked instant) (*kept, error) {
	raw, err := proto.Marshal(m)
	if err != nil {
		return nil, cannotKeep(err)
	}
	b, err := json.Marshal(keptFile{Version: 1, Product: product, Match: match, Asked: asked.wall.UTC(), Handle: raw})
	if err != nil {
		return nil, cannotKeep(err)
	}
	f, err := os.CreateTemp(dir, newStart+"*") // 0600
	if err != nil {
		return nil, cannotKeep(err)
	}
	k := &kept{filepath.Join(dir, id+keptEnd), f}
	if _, err = f.Write(b); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Chtimes(f.Name(), asked.wall, asked.wall)
	}
	if err == nil && !c.lock(f, sharable(m)) { // nobody else knows it yet: there are no locks
		_ = f.Close()
		_ = os.Remove(f.Name())
		return nil, nil //nolint:nilnil // no file is no failure
	}
	if err == nil {
		err = os.Rename(f.Name(), k.path)
	}
	if err != nil {
		_ = f.Close()
		_ = os.Remove(f.Name())
		return nil, cannotKeep(err)
	}
	return k, nil
}

// close lets another program use it. At is what the time is.
func (k *kept) close(at time.Time) {
	if k == nil {
		return
	}
	if i, err := os.Stat(k.path); err == nil && i.ModTime().Before(at) {
		_ = os.Chtimes(k.path, at, at)
	}
	_ = k.file.Close()
}

// remove deletes it: the handle is over.
func (k *kept) remove() {
	if k != nil {
		_ = os.Remove(k.path)
		_ = k.file.Close()
	}
}

// there says whether the file is still where it was.
func (k *kept) there() bool {
	ours, err := k.file.Stat()
	if err != nil {
		return false
	}
	now, err := os.Stat(k.path)
	return err == nil && os.SameFile(ours, now)
}

// lockSoon locks a file that others may look into just now.
func (c *Client) lockSoon(ctx context.Context, f *os.File, shared bool) bool {
	for range lockTries {
		if c.lock(f, shared) {
			return true
		}
		if wait(ctx, lockPause) != nil {
			return false
		}
	}
	return c.lock(f, shared)
}

// lending is a file of a borrowed license as it was read.
type lending struct {
	kept
	keptFile
	handle *quoratev1.Handle
	wall   time.Duration // since it was asked for, by the wall clock
	ago    time.Duration // the same; no less than when it was last used
}

// read opens a file of a borrowed license without locking it; nil where it isn't
// one.
func (c *Client) read(path string) *lending {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil
	}
	f := &lending{kept: kept{path, file}, handle: &quoratev1.Handle{}}
	i, err := file.Stat()
	if err != nil || !i.Mode().IsRegular() {
		_ = file.Close()
		return nil
	}
	b, err := io.ReadAll(io.LimitReader(file, mostKept))
	if err != nil || json.Unmarshal(b, &f.keptFile) != nil || f.Version != 1 || proto.Unmarshal(f.keptFile.Handle, f.handle) != nil || f.handle.GetId() == "" {
		c.log.Warn("a borrowed license can't be read", "file", path)
		_ = file.Close()
		return nil
	}
	f.timed(c.now().wall)
	return f
}

// timed notes how old it is. Once it is locked nobody changes its time any more.
func (f *lending) timed(now time.Time) {
	f.wall = now.Sub(f.Asked)
	if i, err := f.file.Stat(); err == nil {
		f.ago = max(f.wall, i.ModTime().Sub(f.Asked), 0)
	}
}

func (f *lending) life() time.Duration {
	return time.Duration(f.handle.GetLeaseMs()) * time.Millisecond
}

// over says whether nobody may use it any more, even if the clock was set back.
func (f *lending) over() bool { return f.ago >= f.life() }

// sweep deletes it where it has been over for long, or where too many are kept.
func (c *Client) sweep(f *lending, kept int) bool {
	on := keptOn
	if kept > fewKept {
		on = 0
	}
	if f.wall < f.life()+on || !c.lock(f.file, false) {
		return false
	}
	f.remove()
	return true
}

func (c *Client) keptFiles(dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var all []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), keptEnd) && len(all) < mostBorrowed {
			all = append(all, filepath.Join(dir, e.Name()))
		} else if strings.HasPrefix(e.Name(), newStart) {
			if path := c.mend(dir, e.Name()); path != "" {
				all = append(all, path)
			}
		}
	}
	return all
}

// mend takes up the file that a program was writing when it was killed: a whole one
// gets its name, another one is deleted.
func (c *Client) mend(dir, name string) string {
	from, to := filepath.Join(dir, name), filepath.Join(dir, uuid.NewString()+keptEnd)
	if i, err := os.Stat(from); err != nil || c.now().wall.Sub(i.ModTime()) < newFor {
		return ""
	}
	f := c.read(from)
	if f == nil {
		_ = os.Remove(from)
		return ""
	}
	defer f.file.Close()
	if !c.lock(f.file, false) || !f.there() || os.Rename(from, to) != nil {
		return ""
	}
	return to
}

// reopen gives a borrowed handle of before that nobody uses, or nil. No server is
// asked: that is what it was borrowed for.
func (c *Client) reopen(ctx context.Context, dir, match, product string) *Handle {
	paths := c.keptFiles(dir)
	all := len(paths)
	for try := 0; ; try++ {
		var busy []string
		for _, path := range paths {
			f := c.read(path)
			if f == nil || c.sweep(f, all) {
				continue
			}
			if f.Match != match || f.over() {
				_ = f.file.Close()
				continue
			}
			if !c.lock(f.file, sharable(f.handle)) {
				busy = append(busy, path)
			} else if h := c.resume(f, product); h != nil {
				return h
			}
			_ = f.file.Close()
		}
		if paths = busy; len(busy) == 0 || try == lockTries || wait(ctx, lockPause) != nil {
			return nil
		}
	}
}

// resume gives the handle of a file that is locked; nil where its time is over, or
// it was returned meanwhile.
func (c *Client) resume(f *lending, product string) *Handle {
	asked := c.now()
	f.timed(asked.wall)
	if !f.there() || f.over() {
		return nil
	}
	asked.mono, asked.wall = asked.mono-f.ago, asked.wall.Add(-f.ago)
	h := newHandle(c, product, true)
	if !h.adopt(f.handle, asked) {
		h.cancel()
		return nil
	}
	h.lent = &f.kept
	return h
}

// Borrowed gives the licenses that programs of this user have borrowed on this
// computer, and that are neither returned nor over. It asks no server.
func (c *Client) Borrowed() ([]Borrowed, error) {
	dir, err := c.borrowDir()
	if err != nil {
		return nil, err
	}
	var all []Borrowed
	paths := c.keptFiles(dir)
	for _, path := range paths {
		f := c.read(path)
		if f == nil || c.sweep(f, len(paths)) {
			continue
		}
		free := c.lock(f.file, false)
		gone := f.wall >= f.life() || !f.there()
		_ = f.file.Close()
		if gone {
			continue
		}
		mode, _ := rpc.ModeFrom(f.handle.GetMode())
		all = append(all, Borrowed{
			ID: strings.TrimSuffix(filepath.Base(path), keptEnd), Product: f.Product, Mode: Mode(mode), Licenses: max(1, f.handle.GetLicenses()),
			Until: c.now().wall.Add(max(0, f.life()-f.ago)), InUse: !free,
		})
	}
	slices.SortFunc(all, func(a, b Borrowed) int { return a.Until.Compare(b.Until) })
	return all, nil
}

// Return gives a borrowed license back before its time. It fails with
// CodeBorrowed while a program uses it, and with CodeHandleUnknown where it isn't
// borrowed here.
func (c *Client) Return(ctx context.Context, id string) error {
	dir, err := c.borrowDir()
	if err != nil {
		return err
	}
	var f *lending
	for _, path := range c.keptFiles(dir) {
		if filepath.Base(path) == id+keptEnd {
			f = c.read(path)
		}
	}
	switch {
	case f == nil:
		return &Error{Code: CodeHandleUnknown, Message: "no license with the id " + id + " is borrowed here", Fix: "quorate return shows which are"}
	case !c.lockSoon(ctx, f.file, false):
		_ = f.file.Close()
		return &Error{Code: CodeBorrowed, Message: "a program uses the borrowed license for " + f.Product, Fix: "end the program, then return it"}
	}
	ctx, cancel := c.bounded(ctx, farewell)
	defer cancel()
	if err := c.releaseToken(ctx, f.handle.GetToken()); err != nil && !fatal(CodeOf(err)) {
		f.close(c.now().wall)
		return err
	}
	f.remove()
	return nil
}

// park ends a borrowed handle here; the license stays borrowed.
func (h *Handle) park() {
	first := h.end(&Error{Code: CodeHandleUnknown, Message: "the client was closed; the license stays borrowed", Fix: "access it again with WithBorrow"})
	<-h.kept
	if first {
		h.lent.close(h.client.now().wall)
	}
}

// expire ends a handle whose time is over by the clocks here. They may be wrong:
// what was borrowed can still be returned.
func (h *Handle) expire(last *Error) bool {
	first := h.end(h.expired(last))
	if first {
		h.lent.close(h.client.now().wall)
	}
	return first
}

// lose ends a handle that is over for everybody, as a server says.
func (h *Handle) lose(reason error) bool {
	first := h.end(reason)
	if first {
		h.lent.remove()
	}
	return first
}
