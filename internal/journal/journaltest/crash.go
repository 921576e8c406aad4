package journaltest

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/license"
)

// Victim writes to a journal, until the process is killed, and tells out of each
// step before and after it; Told reads that.
//
// Step n claims the epoch n first where that is a multiple of 50, and writes the
// seat n%100+1 and the event n, which takes the place of what was there.
func Victim(ctx context.Context, j journal.Journal, out io.Writer) error {
	s, err := j.State(ctx)
	if err != nil {
		return err
	}
	p := journal.Promise{Term: s.Promised, Incarnation: s.Incarnation}
	for n := s.Version; ; n++ {
		if _, err := fmt.Fprintln(out, "does", n); err != nil {
			return err
		}
		if n%50 == 0 || p.Epoch == 0 {
			p.Term = journal.Term{Epoch: n, Owner: fmt.Sprint("victim/", n)}
			s, err = j.Claim(ctx, p.Term)
			if err != nil {
				return err
			}
			if s.Version != n {
				return fmt.Errorf("version %d after step %d", s.Version, n-1)
			}
		}
		if _, err := j.Write(ctx, p, batchOf(n)); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(out, "did", n); err != nil {
			return err
		}
	}
}

func batchOf(n uint64) journal.Batch {
	data := binary.BigEndian.AppendUint64(bytes.Repeat([]byte{byte(n)}, int(n%500)), n)
	b := journal.Batch{
		Records: []journal.Record{record(uint32(n%100)+1, n, string(data))},
		Events:  []journal.Event{{Position: n, Data: data}},
	}
	if n > 200 {
		b.Trim = n - 200
	}
	return b
}

// Told follows what a Victim tells.
type Told struct {
	Did  uint64 // the last step that was answered
	Does uint64 // the last that was begun
}

// Line takes a line of what a Victim tells; false: it is none.
func (w *Told) Line(line string) bool {
	var what string
	var n uint64
	if _, err := fmt.Sscan(line, &what, &n); err != nil {
		return false
	}
	switch what {
	case "does":
		w.Does = n
	case "did":
		w.Did = n
	default:
		return false
	}
	return true
}

// Check says whether the journal has all that was answered, the step that was
// under way whole or not at all, and nothing else.
func (w *Told) Check(ctx context.Context, j journal.Journal) error {
	s, err := j.State(ctx)
	if err != nil {
		return err
	}
	last := s.Version - 1
	if last != w.Did && last != w.Does {
		return fmt.Errorf("the journal ends with step %d; %d was answered, %d begun", last, w.Did, w.Does)
	}
	p := journal.Promise{Term: s.Promised, Incarnation: s.Incarnation}
	records, err := j.Records(ctx, p, journal.Key{}, journal.MostPage)
	if err != nil {
		return err
	}
	want := map[uint32]uint64{}
	for n := max(last, 400) - 400; n <= last; n++ {
		if n > 0 {
			want[uint32(n%100)+1] = n
		}
	}
	for _, r := range records {
		b := batchOf(r.N)
		if want[r.Seat] != r.N || !bytes.Equal(r.Holder, b.Records[0].Holder) {
			return fmt.Errorf("seat %d has n %d, want %d whole", r.Seat, r.N, want[r.Seat])
		}
		delete(want, r.Seat)
	}
	if len(want) > 0 {
		return fmt.Errorf("seats %v are missing", want)
	}
	events, err := j.Events(ctx, p, 0, journal.MostPage)
	if err != nil {
		return err
	}
	for i, e := range events {
		if e.Position > last || e.Position+250 < last || !bytes.Equal(e.Data, batchOf(e.Position).Events[0].Data) ||
			(i > 0 && e.Position <= events[i-1].Position) {
			return fmt.Errorf("event %d at place %d, of %d", e.Position, i, last)
		}
	}
	if last > 300 && len(events) < 190 {
		return fmt.Errorf("%d events are there", len(events))
	}
	if _, err := j.Claim(ctx, journal.Term{Epoch: s.Promised.Epoch, Owner: "another"}); s.Promised.Epoch > 0 && license.CodeOf(err) != license.CodeFenced {
		return fmt.Errorf("the promise of %d is forgotten: %w", s.Promised.Epoch, err)
	}
	return nil
}
