package borrowed

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// Request is a request for a borrowed license, written down before it is sent.
// While its file is there a server may have granted it, and nobody has the handle
// of that; a repeat of it gives the same one. Its program has it locked; who can
// lock it knows that this one is no more.
type Request struct {
	File
	Message *quoratev1.AccessRequest
	Match   string
}

// asked is what is in its file.
type asked struct {
	Version int       `json:"version"`
	Servers string    `json:"servers"` // that it was sent to
	Match   string    `json:"match"`
	Asked   time.Time `json:"asked"`
	Request []byte    `json:"request"`
}

// Ask writes a request down that is sent next; nil where there are no locks.
func (d Folder) Ask(m *quoratev1.AccessRequest, match, servers string) (*Request, error) {
	raw, err := proto.Marshal(m)
	if err != nil {
		return nil, err
	}
	now := d.Now()
	f, err := d.write(m.GetRequestId()+askedEnd, asked{Version: 1, Servers: servers, Match: match, Asked: now.UTC(), Request: raw}, now, false)
	if f == nil {
		return nil, err
	}
	return &Request{*f, m, match}, nil
}

// Lost gives the requests to these servers whose programs were killed, or did not
// reach them any more, each locked. What is over by now is deleted.
func (d Folder) Lost(servers string) (all []*Request) {
	entries, err := os.ReadDir(d.Dir)
	if err != nil {
		return nil
	}
	seen := 0
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), askedEnd) || seen == mostFiles {
			continue
		}
		seen++
		r, state := d.lost(filepath.Join(d.Dir, e.Name()))
		if state != mine {
			continue
		}
		a, m := asked{}, &quoratev1.AccessRequest{}
		b, err := os.ReadFile(r.path)
		id := strings.TrimSuffix(e.Name(), askedEnd)
		if err != nil || json.Unmarshal(b, &a) != nil || a.Version != 1 || proto.Unmarshal(a.Request, m) != nil || m.GetRequestId() != id {
			d.Log.Warn("a request for a borrowed license can't be read", "file", r.path)
			r.Leave()
			continue
		}
		_, err = os.Stat(filepath.Join(d.Dir, id+keptEnd))
		long := d.Now().Sub(a.Asked) >= time.Duration(m.GetBorrowMs())*time.Millisecond+KeptOn
		switch {
		case err == nil, long: // its program was killed after it had written the handle down
			r.Remove()
		case a.Servers != servers:
			r.Leave()
		default:
			all = append(all, &Request{*r, m, a.Match})
		}
	}
	return all
}

// Settle deletes the file: nothing was granted, or it is known where.
func (r *Request) Settle() {
	if r != nil {
		r.Remove()
	}
}

// Leave leaves it to the next program.
func (r *Request) Leave() {
	if r != nil {
		r.File.Leave()
	}
}

type state int

const (
	gone state = iota
	busy
	mine
)

// lost opens and locks the file of a request.
func (d Folder) lost(path string) (*File, state) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if os.IsNotExist(err) {
		return nil, gone
	} else if err != nil {
		return nil, busy
	}
	k := &File{path, f, d.Lock}
	if i, err := f.Stat(); err != nil || !i.Mode().IsRegular() || !k.Lock(false) {
		_ = f.Close()
		return nil, busy
	}
	if !k.There() {
		_ = f.Close()
		return nil, gone
	}
	return k, mine
}
