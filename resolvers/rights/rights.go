// Package rights knows when those who watch have to show anew what they may, and
// which of them may the same, so that they share the work.
package rights

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/organization"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
)

// rightsEvery is how long rights are believed without having been looked at: of
// changes that nobody told of.
const rightsEvery = time.Minute

// Rights knows when subscribers have to show anew what they may. Whatever changes
// who may do what, or what is shown to whom, is noticed where it is written
// (Notice), so that no use case can forget to tell; others are told by the bus.
type Rights struct {
	client *ent.Client
	bus    event.Bus

	mu      sync.Mutex
	version int64
	told    map[*Watcher]struct{}
	sights  map[string]sight // by organization
	ear     *event.Listener  // nil: nobody listens yet
}

// mostSights bounds of how many organizations it is remembered what they see.
const mostSights = 20_000

// New makes Rights; nothing is noticed before Notice.
func New(client *ent.Client, bus event.Bus) *Rights { return &Rights{client: client, bus: bus} }

// Looked is when, and at which version, rights were looked at.
type Looked struct {
	version int64
	at      time.Time
}

// sight is what an organization sees of others' users.
type sight struct {
	Looked
	of string
}

// Watcher is one who watches. Its rights lock it.
type Watcher struct {
	wake  func()
	hold  string // what he hangs on; "": nothing else
	stale bool   // that may have ended
}

// Join has wake called whenever the rights of who hangs on hold may have changed.
func (g *Rights) Join(wake func(), hold string) *Watcher {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.told == nil {
		g.told = map[*Watcher]struct{}{}
	}
	w := &Watcher{wake: wake, hold: hold}
	g.told[w] = struct{}{}
	return w
}

func (g *Rights) Leave(w *Watcher) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.told, w)
}

// ended makes those who hang on holds show anew what they may.
func (g *Rights) ended(holds map[string]bool) {
	g.mu.Lock()
	var all []func()
	for w := range g.told {
		if w.hold != "" && holds[w.hold] {
			w.stale = true
			all = append(all, w.wake)
		}
	}
	g.mu.Unlock()
	for _, wake := range all {
		wake()
	}
}

// changed makes all subscribers show anew what they may, before the next message.
func (g *Rights) changed() {
	g.mu.Lock()
	g.version++
	all := make([]func(), 0, len(g.told))
	for w := range g.told {
		all = append(all, w.wake)
	}
	g.mu.Unlock()
	for _, wake := range all {
		wake()
	}
}

// fresh says whether what was looked at still counts.
func (g *Rights) fresh(l Looked) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return l.version == g.version && time.Since(l.at) < rightsEvery
}

// FreshFor says so for one who watches. After false he is to look.
func (g *Rights) FreshFor(w *Watcher, l Looked) bool {
	g.mu.Lock()
	stale := w.stale
	w.stale = false
	g.mu.Unlock()
	return !stale && g.fresh(l)
}

func (g *Rights) now() Looked {
	g.mu.Lock()
	defer g.mu.Unlock()
	return Looked{g.version, time.Now()}
}

// listen hears what other replicas tell, as long as the bus lives.
func (g *Rights) listen() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ear != nil {
		return nil
	}
	ear, err := g.bus.Listen(context.Background(), event.Rights, event.Sessions)
	if err != nil {
		return err
	}
	g.ear = ear
	go func() {
		tick := time.NewTicker(rightsEvery)
		defer tick.Stop()
		for {
			select {
			case _, open := <-ear.C():
				if !open {
					return
				}
				if holds, all := endedBy(ear.Take()); !all {
					g.ended(holds)
					continue
				}
			case <-tick.C:
			}
			g.changed()
		}
	}()
	return nil
}

// endedBy gives the sessions that signals are about; all: any rights may have
// changed.
func endedBy(signals []event.Signal, missed bool) (holds map[string]bool, all bool) {
	holds, all = map[string]bool{}, missed
	for _, s := range signals {
		if s.Topic == event.Sessions {
			holds[s.Key] = true
		} else {
			all = true
		}
	}
	return holds, all
}

// Key names what a principal may see and do, the same for all who may the same:
// his rights, and what of customers' users is shown to his organization.
func (g *Rights) Key(ctx context.Context, by auth.Principal) (string, Looked, error) {
	if err := g.listen(); err != nil {
		return "", Looked{}, errBusClosed()
	}
	now := g.now()
	g.mu.Lock()
	seen, ok := g.sights[by.Organization]
	g.mu.Unlock()
	if !ok || !g.fresh(seen.Looked) {
		rows, err := g.client.Organization.Query().Where(organization.ProviderID(by.Organization)).
			Order(ent.Asc(organization.FieldID)).Select(organization.FieldUserVisibility).All(auth.With(ctx, by))
		if err != nil {
			return "", Looked{}, err
		}
		seen = sight{Looked: now}
		for _, row := range rows {
			seen.of += row.ID + " " + string(row.UserVisibility) + "\n"
		}
		seen.of = digest(seen.of)
		g.mu.Lock()
		if g.sights == nil || len(g.sights) > mostSights {
			g.sights = map[string]sight{}
		}
		g.sights[by.Organization] = seen
		g.mu.Unlock()
	}
	return digest(fmt.Sprintf("%+v", Shared(by)) + seen.of), now, nil
}

// Shared is who all those with a principal's rights are: none of them.
func Shared(p auth.Principal) auth.Principal {
	p.ID, p.Name, p.Email = "everybody with the same rights", "", ""
	return p
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:12])
}

// Notice has writes of entities told when they are committed: those that decide
// who may do what or what is shown to whom, and the audit log's.
func (g *Rights) Notice(failed func(topic string, err error)) {
	tell := func(topic string, keys []string) {
		holds := map[string]bool{}
		for _, key := range keys {
			holds[key] = true
		}
		switch topic { // here at once
		case event.Rights:
			g.changed()
		case event.Sessions:
			g.ended(holds)
		}
		for key := range holds {
			if err := g.bus.Publish(context.Background(), topic, key); err != nil {
				failed(topic, err)
			}
		}
	}
	g.client.Use(func(next ent.Mutator) ent.Mutator {
		return ent.MutateFunc(func(ctx context.Context, m ent.Mutation) (ent.Value, error) {
			ended, err := endedSessions(ctx, m)
			if err != nil {
				return nil, err
			}
			v, err := next.Mutate(ctx, m)
			if err != nil {
				return v, err
			}
			topic, key := topicOf(m)
			keys := []string{key}
			if len(ended) > 0 {
				topic, keys = event.Sessions, ended
			}
			if topic == "" {
				return v, nil
			}
			in, ok := m.(interface{ Tx() (*ent.Tx, error) })
			if !ok {
				tell(topic, keys)
				return v, nil
			}
			tx, err := in.Tx()
			if err != nil { // outside of a transaction
				tell(topic, keys)
				return v, nil
			}
			tx.OnCommit(func(next ent.Committer) ent.Committer {
				return ent.CommitFunc(func(ctx context.Context, tx *ent.Tx) error {
					err := next.Commit(ctx, tx)
					if err == nil {
						tell(topic, keys)
					}
					return err
				})
			})
			return v, nil
		})
	})
}

// mostEnded bounds of how many sessions that end at once is told. More do when
// those are cleared away whose time was over, which streams see for themselves.
const mostEnded = 100

// endedSessions are those that a write is to end.
func endedSessions(ctx context.Context, m ent.Mutation) ([]string, error) {
	s, ok := m.(*ent.SessionMutation)
	if !ok || !m.Op().Is(ent.OpDelete|ent.OpDeleteOne) {
		return nil, nil
	}
	ids, err := s.IDs(ctx)
	if len(ids) > mostEnded {
		ids = nil
	}
	return ids, err
}

// topicOf says what a write is to be told as; "": it is not.
func topicOf(m ent.Mutation) (topic, key string) {
	switch m.Type() {
	case ent.TypeAuditEntry:
		if of, ok := m.Field("organization_id"); ok {
			return event.Audit, fmt.Sprint(of)
		}
	case ent.TypeApiToken:
		if m.Op().Is(ent.OpUpdate|ent.OpUpdateOne) && !slices.ContainsFunc(m.Fields(), func(f string) bool { return f != "last_used_at" }) {
			return "", "" // that it was used
		}
		return event.Rights, ""
	case ent.TypeMemberGroupEntry, ent.TypeIdentityProvider:
		return event.Rights, ""
	case ent.TypeUserIdentity:
		if m.Op().Is(ent.OpCreate) {
			return "", "" // somebody signs in
		}
		return event.Rights, ""
	case ent.TypeMember, ent.TypeMemberGroup, ent.TypeUser, ent.TypeOrganization:
		if m.Op().Is(ent.OpCreate) {
			return "", "" // who is new watches nothing yet
		}
		return event.Rights, ""
	}
	return "", ""
}

// errBusClosed ends streams when the process can't tell them of changes any more.
func errBusClosed() error {
	return license.Errorf(license.CodeUnavailable, "connect again", "the server is stopping")
}
