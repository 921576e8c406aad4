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
// programs of later.
func (c *Client) keepBorrowed(dir, id, match string, m *quoratev1.Handle, product string, asked instant) (*kept, error) {
	raw, err := proto.Marshal(m)
	if err != nil {
		return nil, cannotKeep(err)
	}
	b, err := json.Marshal(keptFile{Version: 1, Product: product, Match: match, Asked: asked.wall.UTC(), Handle: raw})
	if err != nil {
		return nil, cannotKeep(err)
	}
	f, err := os.CreateTemp(dir, ".new-*") // 0600
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
	if !lockFile(f, sharable(m)) { // nobody else knows it yet: this system has no locks
		_ = f.Close()
		k.file = nil
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
	_ = k.file.Close() // nil where there are no locks
}

// remove deletes it: the handle is over.
func (k *kept) remove() {
	if k != nil {
		_ = os.Remove(k.path)
		_ = k.file.Close()
	}
}

// lending is a file of a borrowed license as it was read.
type lending struct {
	kept
	keptFile
	handle *quoratev1.Handle
	free   bool          // it is locked for us now
	ago    time.Duration // since it was asked for; no less than when it was last used
}

// read opens a file of a borrowed license, and locks it where nobody uses it; nil
// where it isn't one.
func (c *Client) read(path string, alone bool) *lending {
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
	f.free = lockFile(file, !alone && sharable(f.handle))
	f.ago = max(c.now().wall.Sub(f.Asked), i.ModTime().Sub(f.Asked), 0)
	if now, err := os.Stat(path); err != nil || !os.SameFile(i, now) { // it was returned meanwhile
		_ = file.Close()
		return nil
	}
	if f.free && f.over() {
		f.remove()
		return nil
	}
	return f
}

func (f *lending) life() time.Duration {
	return time.Duration(f.handle.GetLeaseMs()) * time.Millisecond
}

func (f *lending) over() bool { return f.ago >= f.life() }

func keptFiles(dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var all []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), keptEnd) && len(all) < mostBorrowed {
			all = append(all, filepath.Join(dir, e.Name()))
		}
	}
	return all
}

// reopen gives a borrowed handle of before that nobody uses, or nil. No server is
// asked: that is what it was borrowed for.
func (c *Client) reopen(dir, match, product string) *Handle {
	for _, path := range keptFiles(dir) {
		f := c.read(path, false)
		if f == nil {
			continue
		}
		if f.free && f.Match == match {
			asked := c.now()
			asked.mono, asked.wall = asked.mono-f.ago, asked.wall.Add(-f.ago)
			h := newHandle(c, product, true)
			if h.adopt(f.handle, asked) {
				h.lent = &f.kept
				return h
			}
			h.cancel()
		}
		_ = f.file.Close()
	}
	return nil
}

// Borrowed gives the licenses that programs of this user have borrowed on this
// computer, and that are neither returned nor over. It asks no server.
func (c *Client) Borrowed() ([]Borrowed, error) {
	dir, err := c.borrowDir()
	if err != nil {
		return nil, err
	}
	var all []Borrowed
	for _, path := range keptFiles(dir) {
		f := c.read(path, true)
		if f == nil {
			continue
		}
		_ = f.file.Close()
		mode, _ := rpc.ModeFrom(f.handle.GetMode())
		all = append(all, Borrowed{
			ID: strings.TrimSuffix(filepath.Base(path), keptEnd), Product: f.Product, Mode: Mode(mode), Licenses: max(1, f.handle.GetLicenses()),
			Until: c.now().wall.Add(max(0, f.life()-f.ago)), InUse: !f.free,
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
	for _, path := range keptFiles(dir) {
		if filepath.Base(path) == id+keptEnd {
			f = c.read(path, true)
		}
	}
	switch {
	case f == nil:
		return &Error{Code: CodeHandleUnknown, Message: "no license with the id " + id + " is borrowed here", Fix: "quorate return shows which are"}
	case !f.free:
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

// lose ends a handle that is over for everybody.
func (h *Handle) lose(reason error) bool {
	first := h.end(reason)
	if first {
		h.lent.remove()
	}
	return first
}
