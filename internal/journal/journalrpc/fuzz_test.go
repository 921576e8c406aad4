package journalrpc

import (
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// FuzzMessages gives the readers of messages anything that is one by its form:
// they never panic, refuse with a code, and what they take comes back the same.
func FuzzMessages(f *testing.F) {
	term := journal.Term{Epoch: 7, Owner: "tmr-a/1"}
	roster := journal.Roster{Epoch: 7, N: 1, Grace: true, Peers: []journal.Peer{{Name: "130-1", Incarnation: "A"}, {Name: "130-2", Incarnation: "B"}}}
	key := journal.Key{Product: license.Product{Firm: 6000010, Code: 14}, Seat: 3}
	batch := journal.Batch{
		Records: []journal.Record{{Key: key, Epoch: 7, N: 2, Holder: []byte("h")}}, Drop: []uint64{4}, Trim: 3,
		Events: []journal.Event{{Position: 9, Epoch: 7, Data: []byte("e")}}, Base: 7, Marks: []journal.Mark{{Incarnation: "A", Version: 9}},
	}
	for _, m := range []proto.Message{
		stateProto(journal.State{Incarnation: "A", Version: 4, Voting: true, Promised: term, Base: 7, Roster: roster, Marks: batch.Marks}),
		stateProto(journal.Begin(journal.Term{})), batchProto(batch), rosterProto(roster), recordProto(batch.Records[0]),
		promiseProto(journal.Promise{Term: term, Incarnation: "A"}), keyProto(key),
	} {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		taken := func(err error) bool {
			if license.CodeOf(err) == license.CodeInternal {
				t.Fatalf("an error without a code: %v", err)
			}
			return err == nil
		}
		same := func(what string, got, again any, err error) {
			if err != nil || !reflect.DeepEqual(got, again) {
				t.Fatalf("%s: %+v came back as %+v, %v", what, got, again, err)
			}
		}
		if m := new(quoratev1.JournalStateResponse); proto.Unmarshal(b, m) == nil {
			if s, err := stateFrom(m); taken(err) {
				again, err := stateFrom(stateProto(s))
				same("state", s, again, err)
			}
		}
		if m := new(quoratev1.JournalBatch); proto.Unmarshal(b, m) == nil {
			if x, err := batchFrom(m); taken(err) {
				again, err := batchFrom(batchProto(x))
				same("batch", x, again, err)
			}
		}
		if m := new(quoratev1.JournalRoster); proto.Unmarshal(b, m) == nil {
			if r, err := rosterFrom(m); taken(err) && r.Check() == nil {
				again, err := rosterFrom(rosterProto(r))
				same("roster", r, again, err)
			}
		}
		if m := new(quoratev1.JournalRecord); proto.Unmarshal(b, m) == nil {
			if r, err := recordFrom(m); taken(err) {
				again, err := recordFrom(recordProto(r))
				same("record", r, again, err)
			}
		}
		if m := new(quoratev1.JournalKey); proto.Unmarshal(b, m) == nil {
			if k, err := keyFrom(m); taken(err) {
				again, err := keyFrom(keyProto(k))
				same("key", k, again, err)
			}
		}
		if m := new(quoratev1.JournalPromise); proto.Unmarshal(b, m) == nil {
			p := promiseFrom(m)
			same("promise", p, promiseFrom(promiseProto(p)), nil)
		}
	})
}
