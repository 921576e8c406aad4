package quorumlease

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/book"
	"github.com/quorate/quorate/internal/license"
)

// A journal's n is four times the seat's, and tells in its last digits what
// became of the grant: a release or an end is newer than its grant.
const (
	held = iota
	lingers
	free
	perN = 4
)

const format = 1

// counterSeat is where the number of a firm's events is kept, as an n.
const counterSeat = math.MaxUint32

func counterKey(firm license.FirmCode) journal.Key {
	return journal.Key{Product: license.Product{Firm: firm}, Seat: counterSeat}
}

func counterRecord(firm license.FirmCode, seq uint64) journal.Record {
	return journal.Record{Key: counterKey(firm), N: seq + perN}
}

// recordOf is what a journal keeps of a seat.
func recordOf(r book.Record) journal.Record {
	out := journal.Record{Key: journal.Key{Product: r.Product, Seat: r.Seat}, N: r.N * perN}
	switch {
	case r.Handle != nil:
		h := r.Handle
		b := []byte{format, held}
		b = text(binary.AppendUvarint(b, h.N), h.ID)
		b = holder(b, h.Mode, h.Station, h.Client, h.Licenses, h.Tags, h.Borrowed)
		b = binary.AppendVarint(b, int64(h.Lease))
		b = binary.AppendUvarint(b, uint64(h.Accesses))
		out.Holder = binary.AppendVarint(b, h.First.UnixNano())
	case r.Linger != nil:
		l := r.Linger
		b := []byte{format, lingers}
		b = text(binary.AppendUvarint(b, l.N), l.ID)
		b = holder(b, l.Mode, l.Station, l.Client, l.Licenses, l.Tags, l.Borrowed)
		out.Holder = binary.AppendVarint(b, int64(l.Linger))
		out.N += lingers
	default:
		out.N += free
	}
	return out
}

func text(b []byte, s string) []byte { return append(binary.AppendUvarint(b, uint64(len(s))), s...) }

func flag(b []byte, on bool) []byte {
	if on {
		return append(b, 1)
	}
	return append(b, 0)
}

func holder(b []byte, mode license.AccessMode, station string, c lease.Client, licenses uint32, tags []string, borrowed bool) []byte {
	b = text(text(b, string(mode)), station)
	b = text(text(text(b, c.Address), c.User), c.Application)
	b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(c.Process)), uint64(licenses))
	b = binary.AppendUvarint(b, uint64(len(tags)))
	for _, t := range tags {
		b = text(b, t)
	}
	return flag(b, borrowed)
}

// reader reads what was encoded; the first error stays.
type reader struct {
	b   []byte
	err error
}

var errCut = errors.New("it is cut off, or of another format")

func (r *reader) fail() { r.b, r.err = nil, errCut }

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) uint(most uint64) uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > most {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) int() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) text() string {
	n := r.uint(uint64(len(r.b)))
	if r.err != nil || n > uint64(len(r.b)) {
		r.fail()
		return ""
	}
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

func (r *reader) flag() bool {
	c := r.byte()
	if c > 1 {
		r.fail()
	}
	return c == 1
}

func (r *reader) end() error {
	if r.err == nil && len(r.b) > 0 {
		r.fail()
	}
	return r.err
}

// parseRecord reads a journal's record; false: it is no seat's, and Seq says how
// many events of the firm were counted.
func parseRecord(in journal.Record) (out book.Record, seat bool, seq uint64, err error) {
	if in.Seat == counterSeat {
		return book.Record{}, false, max(in.N, perN) - perN, nil
	}
	out = book.Record{Product: in.Product, Seat: in.Seat, N: in.N / perN}
	if len(in.Holder) == 0 {
		return out, true, 0, nil
	}
	r := &reader{b: in.Holder}
	version, what := r.byte(), r.byte()
	if version != format || out.N == 0 {
		return book.Record{}, false, 0, errCut
	}
	n, id := r.uint(out.N), r.text()
	mode, station := license.AccessMode(r.text()), r.text()
	client := lease.Client{Address: r.text(), User: r.text(), Application: r.text(), Process: uint32(r.uint(math.MaxUint32))}
	licenses := uint32(r.uint(math.MaxUint32))
	var tags []string
	for range r.uint(lease.MostTags) {
		tags = append(tags, r.text())
	}
	borrowed := r.flag()
	switch what {
	case held:
		out.Handle = &book.HandleRecord{
			ID: id, N: n, Mode: mode, Station: station, Client: client, Licenses: licenses, Tags: tags, Borrowed: borrowed,
			Lease: time.Duration(r.int()), Accesses: uint32(r.uint(math.MaxUint32)), First: time.Unix(0, r.int()).UTC(),
		}
	case lingers:
		out.Linger = &book.LingerRecord{
			ID: id, N: n, Mode: mode, Station: station, Client: client, Licenses: licenses, Tags: tags, Borrowed: borrowed,
			Linger: time.Duration(r.int()),
		}
	default:
		r.fail()
	}
	return out, true, 0, r.end()
}

func eventOf(e lease.Event) journal.Event {
	b := []byte{format}
	b = text(binary.AppendVarint(text(b, string(e.Kind)), e.At.UnixNano()), e.Handle)
	b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(e.Pool.Product.Firm)), uint64(e.Pool.Product.Code))
	b = holder(b, e.Mode, e.Station, e.Client, e.Licenses, nil, e.Borrowed)
	b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(e.Seat)), e.N)
	b = text(text(text(b, string(e.Reason)), e.By), e.Rule)
	return journal.Event{Position: e.Position, Data: binary.AppendUvarint(b, e.Seq)}
}

func parseEvent(in journal.Event, group license.Serial) (e lease.Event, err error) {
	r := &reader{b: in.Data}
	if r.byte() != format {
		return lease.Event{}, errCut
	}
	e = lease.Event{Position: in.Position, Kind: lease.EventKind(r.text()), At: time.Unix(0, r.int()).UTC(), Handle: r.text()}
	e.Pool = lease.Pool{Container: group, Product: license.Product{
		Firm: license.FirmCode(r.uint(math.MaxUint32)), Code: license.ProductCode(r.uint(math.MaxUint32)),
	}}
	e.Mode, e.Station = license.AccessMode(r.text()), r.text()
	e.Client = lease.Client{Address: r.text(), User: r.text(), Application: r.text(), Process: uint32(r.uint(math.MaxUint32))}
	e.Licenses = uint32(r.uint(math.MaxUint32))
	r.uint(0)
	e.Borrowed = r.flag()
	e.Seat, e.N = uint32(r.uint(math.MaxUint32)), r.uint(math.MaxUint64)
	e.Reason, e.By, e.Rule = license.Code(r.text()), r.text(), r.text()
	e.Seq = r.uint(math.MaxUint64)
	return e, r.end()
}
