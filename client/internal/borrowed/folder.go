// Package borrowed keeps the licenses that a user's programs have borrowed in
// files of a folder, each locked by who uses it, and the requests for them that a
// server may have granted to a program which was killed before it knew.
package borrowed

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

const (
	// mostKept bounds a file, and mostFiles how many of them are looked at.
	mostKept  = 64 << 10
	mostFiles = 1000
	keptEnd   = ".borrowed"
	askedEnd  = ".asked"
	// KeptOn is how long the file of what seems to be over is kept to be returned,
	// for the clock may have been wrong; Few is among how many files.
	KeptOn = 30 * 24 * time.Hour
	Few    = 100
	// Nobody writes on a new file for longer than newFor.
	newStart = ".new-"
	newFor   = time.Minute
	// Tries is how often a lock is tried that another one may have for an instant, to
	// look into the file, and Pause how long to wait between.
	Tries = 5
	Pause = 10 * time.Millisecond
)

// Folder is where they are kept.
type Folder struct {
	Dir  string
	Lock func(f *os.File, shared bool) bool // the package's, or a test's
	Now  func() time.Time
	Log  *slog.Logger
}

// File is the file of a borrowed handle, locked by whoever uses it: it has the
// handle's token, so nobody else may read it. Its time is the latest that was seen
// by who used it. None (nil) does nothing.
type File struct {
	path string
	file *os.File
	lock func(f *os.File, shared bool) bool
}

// content is what is in it.
type content struct {
	Version int       `json:"version"`
	ID      string    `json:"id,omitempty"` // that it was asked for by
	Product string    `json:"product"`
	Match   string    `json:"match"` // of what was asked for
	Asked   time.Time `json:"asked"` // when, before the request was sent
	Handle  []byte    `json:"handle"`
}

// Loan is a file of a borrowed license as it was read.
type Loan struct {
	File
	Product string
	Match   string
	Handle  *quoratev1.Handle
	Ago     time.Duration // since it was asked for; no less than when it was last used

	id    string
	asked time.Time
	wall  time.Duration // since then by the wall clock
}

// Keep writes a handle down under the id that it was asked for by, for programs of
// later; shared says whether several may use it at once. Where there are no locks
// it keeps nothing, and gives nil: the handle is its program's alone.
func (d Folder) Keep(id, match, product string, m *quoratev1.Handle, asked time.Time, shared bool) (*File, error) {
	raw, err := proto.Marshal(m)
	if err != nil {
		return nil, err
	}
	return d.write(id+keptEnd, content{Version: 1, ID: id, Product: product, Match: match, Asked: asked.UTC(), Handle: raw}, asked, shared)
}

// write makes a whole file, locked; nil where there are no locks.
func (d Folder) write(name string, what any, at time.Time, shared bool) (*File, error) {
	b, err := json.Marshal(what)
	if err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(d.Dir, newStart+"*") // 0600
	if err != nil {
		return nil, err
	}
	k := &File{filepath.Join(d.Dir, name), f, d.Lock}
	if _, err = f.Write(b); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Chtimes(f.Name(), at, at)
	}
	if err == nil && !d.Lock(f, shared) { // nobody else knows it yet: there are no locks
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
		return nil, err
	}
	return k, nil
}

// ID is the id that its handle was asked for by.
func (k *File) ID() string {
	return strings.TrimSuffix(filepath.Base(k.path), keptEnd)
}

// Close lets another program use it. At is what the time is.
func (k *File) Close(at time.Time) {
	if k == nil {
		return
	}
	if i, err := os.Stat(k.path); err == nil && i.ModTime().Before(at) {
		_ = os.Chtimes(k.path, at, at)
	}
	_ = k.file.Close()
}

// Leave lets another program use it, and notes no use.
func (k *File) Leave() {
	if k != nil {
		_ = k.file.Close()
	}
}

// Remove deletes it: what it tells of is over.
func (k *File) Remove() {
	if k != nil {
		_ = os.Remove(k.path)
		_ = k.file.Close()
	}
}

// There says whether the file is still where it was.
func (k *File) There() bool {
	ours, err := k.file.Stat()
	if err != nil {
		return false
	}
	now, err := os.Stat(k.path)
	return err == nil && os.SameFile(ours, now)
}

// Lock locks it.
func (k *File) Lock(shared bool) bool { return k.lock(k.file, shared) }

// LockSoon locks a file that others may look into just now.
func (k *File) LockSoon(ctx context.Context, shared bool) bool {
	for range Tries {
		if k.Lock(shared) {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(Pause):
		}
	}
	return k.Lock(shared)
}

// open opens a file and gives what is in it; nil where it can't be read.
func (d Folder) open(path string) (*File, []byte) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, nil
	}
	i, err := file.Stat()
	if err == nil && i.Mode().IsRegular() {
		if b, err := io.ReadAll(io.LimitReader(file, mostKept)); err == nil {
			return &File{path, file, d.Lock}, b
		}
	}
	_ = file.Close()
	return nil, nil
}

// Read opens a file of a borrowed license without locking it; nil where it isn't
// one.
func (d Folder) Read(path string) *Loan {
	k, b := d.open(path)
	if k == nil {
		return nil
	}
	l := &Loan{File: *k, Handle: &quoratev1.Handle{}}
	var c content
	if json.Unmarshal(b, &c) != nil || c.Version != 1 || proto.Unmarshal(c.Handle, l.Handle) != nil || l.Handle.GetId() == "" {
		d.Log.Warn("a borrowed license can't be read", "file", path)
		k.Leave()
		return nil
	}
	l.id, l.Product, l.Match, l.asked = c.ID, c.Product, c.Match, c.Asked
	l.Timed(d.Now())
	return l
}

// Timed notes how old it is. Once it is locked nobody changes its time any more.
func (l *Loan) Timed(now time.Time) {
	l.wall = now.Sub(l.asked)
	if i, err := l.file.Stat(); err == nil {
		l.Ago = max(l.wall, i.ModTime().Sub(l.asked), 0)
	}
}

// Life is how long it was borrowed for.
func (l *Loan) Life() time.Duration {
	return time.Duration(l.Handle.GetLeaseMs()) * time.Millisecond
}

// Over says whether nobody may use it any more, even if the clock was set back.
func (l *Loan) Over() bool { return l.Ago >= l.Life() }

// Ended says whether it is over by the clock as it is now.
func (l *Loan) Ended() bool { return l.wall >= l.Life() }

// Swept deletes it where it has been over for long, or where too many are kept.
func (d Folder) Swept(l *Loan, kept int) bool {
	on := KeptOn
	if kept > Few {
		on = 0
	}
	if l.wall < l.Life()+on || !l.Lock(false) {
		return false
	}
	l.Remove()
	return true
}

// Files gives the files of borrowed licenses.
func (d Folder) Files() []string {
	entries, err := os.ReadDir(d.Dir)
	if err != nil {
		return nil
	}
	var all []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), keptEnd) && len(all) < mostFiles {
			all = append(all, filepath.Join(d.Dir, e.Name()))
		} else if strings.HasPrefix(e.Name(), newStart) {
			if path := d.mend(e.Name()); path != "" {
				all = append(all, path)
			}
		}
	}
	return all
}

// Find gives the license that was asked for by an id; nil where it isn't kept here.
func (d Folder) Find(id string) *Loan {
	for _, path := range d.Files() {
		if filepath.Base(path) == id+keptEnd {
			return d.Read(path)
		}
	}
	return nil
}

// mend takes up the file that a program was writing when it was killed: a whole one
// gets its name, another one is deleted.
func (d Folder) mend(name string) string {
	from := filepath.Join(d.Dir, name)
	if i, err := os.Stat(from); err != nil || d.Now().Sub(i.ModTime()) < newFor {
		return ""
	}
	l := d.Read(from)
	if l == nil {
		_ = os.Remove(from)
		return ""
	}
	defer l.Leave()
	if l.id == "" { // of an earlier version, which writes no requests down
		to := filepath.Join(d.Dir, uuid.NewString()+keptEnd)
		if !l.Lock(false) || !l.There() || os.Rename(from, to) != nil {
			return ""
		}
		return to
	}
	return d.finish(from, l.id)
}

// finish names a file as the program would have whose request it answers. Who has
// the request locked decides about it; without one that was done.
func (d Folder) finish(from, id string) string {
	to := filepath.Join(d.Dir, filepath.Base(id)+keptEnd)
	r, state := d.lost(filepath.Join(d.Dir, filepath.Base(id)+askedEnd))
	switch state {
	case gone:
		_ = os.Remove(from)
		return ""
	case busy:
		return ""
	}
	if _, err := os.Stat(to); err == nil { // another one had the repeat
		_ = os.Remove(from)
		r.Remove()
		return ""
	}
	if os.Rename(from, to) != nil {
		r.Leave()
		return ""
	}
	r.Remove()
	return to
}
