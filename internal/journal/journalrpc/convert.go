package journalrpc

import (
	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

func termProto(t journal.Term) *quoratev1.JournalTerm {
	if t == (journal.Term{}) {
		return nil
	}
	return &quoratev1.JournalTerm{Epoch: t.Epoch, Owner: t.Owner}
}

func termFrom(m *quoratev1.JournalTerm) journal.Term {
	return journal.Term{Epoch: m.GetEpoch(), Owner: m.GetOwner()}
}

func promiseProto(p journal.Promise) *quoratev1.JournalPromise {
	return &quoratev1.JournalPromise{Term: termProto(p.Term), Incarnation: p.Incarnation}
}

func promiseFrom(m *quoratev1.JournalPromise) journal.Promise {
	return journal.Promise{Term: termFrom(m.GetTerm()), Incarnation: m.GetIncarnation()}
}

// keyFrom reads a key that names a seat, and the zero one, which pages begin at.
func keyFrom(m *quoratev1.JournalKey) (journal.Key, error) {
	if m == nil {
		return journal.Key{}, nil
	}
	p, err := rpc.ProductFrom(m.GetProduct())
	return journal.Key{Product: p, Seat: m.GetSeat()}, err
}

func keyProto(k journal.Key) *quoratev1.JournalKey {
	if k == (journal.Key{}) {
		return nil
	}
	return &quoratev1.JournalKey{Product: rpc.ProductProto(k.Product), Seat: k.Seat}
}

func recordProto(r journal.Record) *quoratev1.JournalRecord {
	return &quoratev1.JournalRecord{Key: keyProto(r.Key), Epoch: r.Epoch, N: r.N, Holder: r.Holder}
}

func recordFrom(m *quoratev1.JournalRecord) (journal.Record, error) {
	k, err := keyFrom(m.GetKey())
	if err == nil {
		err = k.Check()
	}
	if err == nil && len(m.GetHolder()) > journal.MostHolder {
		err = unreadable("a holder has %d bytes", len(m.GetHolder()))
	}
	if err == nil && max(m.GetEpoch(), m.GetN()) > journal.MostEpoch {
		err = unreadable("a record has the epoch %d and n %d", m.GetEpoch(), m.GetN())
	}
	if err != nil {
		return journal.Record{}, err
	}
	return journal.Record{Key: k, Epoch: m.GetEpoch(), N: m.GetN(), Holder: m.GetHolder()}, nil
}

func recordsFrom(ms []*quoratev1.JournalRecord, most int) (all []journal.Record, err error) {
	if len(ms) > most {
		return nil, unreadable("%d records came, more than %d", len(ms), most)
	}
	for _, m := range ms {
		r, err := recordFrom(m)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

func eventProto(e journal.Event) *quoratev1.JournalEvent {
	return &quoratev1.JournalEvent{Position: e.Position, Epoch: e.Epoch, Data: e.Data}
}

func eventsFrom(ms []*quoratev1.JournalEvent, most int) (all []journal.Event, err error) {
	if len(ms) > most {
		return nil, unreadable("%d events came, more than %d", len(ms), most)
	}
	for _, m := range ms {
		if len(m.GetData()) > journal.MostEventData || max(m.GetPosition(), m.GetEpoch()) > journal.MostEpoch {
			return nil, unreadable("an event has %d bytes at the position %d", len(m.GetData()), m.GetPosition())
		}
		all = append(all, journal.Event{Position: m.GetPosition(), Epoch: m.GetEpoch(), Data: m.GetData()})
	}
	return all, nil
}

func marksProto(marks []journal.Mark) (all []*quoratev1.JournalMark) {
	for _, m := range marks {
		all = append(all, &quoratev1.JournalMark{Incarnation: m.Incarnation, Version: m.Version})
	}
	return all
}

func marksFrom(ms []*quoratev1.JournalMark) (all []journal.Mark, err error) {
	if len(ms) > journal.MostMarks {
		return nil, unreadable("%d marks came", len(ms))
	}
	for _, m := range ms {
		all = append(all, journal.Mark{Incarnation: m.GetIncarnation(), Version: m.GetVersion()})
	}
	return all, nil
}

func rosterProto(r journal.Roster) *quoratev1.JournalRoster {
	if r.N == 0 {
		return nil
	}
	m := &quoratev1.JournalRoster{Epoch: r.Epoch, N: r.N, Grace: r.Grace}
	for _, p := range r.Peers {
		m.Peers = append(m.Peers, &quoratev1.JournalPeer{Name: p.Name, Incarnation: p.Incarnation})
	}
	return m
}

func rosterFrom(m *quoratev1.JournalRoster) (r journal.Roster, err error) {
	if len(m.GetPeers()) > license.Backends {
		return r, unreadable("%d peers came", len(m.GetPeers()))
	}
	r = journal.Roster{Epoch: m.GetEpoch(), N: m.GetN(), Grace: m.GetGrace()}
	for _, p := range m.GetPeers() {
		r.Peers = append(r.Peers, journal.Peer{Name: p.GetName(), Incarnation: p.GetIncarnation()})
	}
	return r, nil
}

func stateProto(s journal.State) *quoratev1.JournalStateResponse {
	return &quoratev1.JournalStateResponse{
		Incarnation: s.Incarnation, Version: s.Version, Voting: s.Voting, Promised: termProto(s.Promised), Base: s.Base,
		Roster: rosterProto(s.Roster), Marks: marksProto(s.Marks),
	}
}

// stateFrom reads what another server says of its journal.
func stateFrom(m *quoratev1.JournalStateResponse) (s journal.State, err error) {
	s = journal.State{
		Incarnation: m.GetIncarnation(), Version: m.GetVersion(), Voting: m.GetVoting(), Promised: termFrom(m.GetPromised()), Base: m.GetBase(),
	}
	if s.Roster, err = rosterFrom(m.GetRoster()); err != nil {
		return journal.State{}, err
	}
	if s.Marks, err = marksFrom(m.GetMarks()); err != nil {
		return journal.State{}, err
	}
	checks := []error{(journal.Batch{Marks: s.Marks, Base: s.Base}).Check()}
	if s.Promised != (journal.Term{}) {
		checks = append(checks, s.Promised.Check())
	}
	if s.Roster.N != 0 {
		checks = append(checks, s.Roster.Check())
	}
	checks = append(checks, journal.Promise{Term: journal.Term{Epoch: 1, Owner: "-"}, Incarnation: s.Incarnation}.Check())
	for _, err := range checks {
		if err != nil {
			return journal.State{}, err
		}
	}
	if s.Version == 0 || s.Version > journal.MostEpoch || s.Roster.Epoch > journal.MostEpoch || (s.Roster.N == 0 && len(s.Roster.Peers) > 0) {
		return journal.State{}, unreadable("the state has the version %d", s.Version)
	}
	return s, nil
}

func batchProto(b journal.Batch) *quoratev1.JournalBatch {
	m := &quoratev1.JournalBatch{Drop: b.Drop, Trim: b.Trim, Base: b.Base, Marks: marksProto(b.Marks)}
	for _, r := range b.Records {
		m.Records = append(m.Records, recordProto(r))
	}
	for _, e := range b.Events {
		m.Events = append(m.Events, eventProto(e))
	}
	return m
}

func batchFrom(m *quoratev1.JournalBatch) (b journal.Batch, err error) {
	b = journal.Batch{Drop: m.GetDrop(), Trim: m.GetTrim(), Base: m.GetBase()}
	if b.Records, err = recordsFrom(m.GetRecords(), journal.MostBatch); err != nil {
		return journal.Batch{}, err
	}
	if b.Events, err = eventsFrom(m.GetEvents(), journal.MostBatch); err != nil {
		return journal.Batch{}, err
	}
	if b.Marks, err = marksFrom(m.GetMarks()); err != nil {
		return journal.Batch{}, err
	}
	return b, b.Check()
}

func unreadable(format string, args ...any) error {
	return license.Errorf(license.CodeInvalidInput, "use the same version of Quorate on both sides", format, args...)
}
