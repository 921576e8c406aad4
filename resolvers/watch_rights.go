package resolvers

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

// rights knows when subscribers have to show anew what they may. Whatever changes
// who may do what, or what is shown to whom, is noticed where it is written
// (notice), so that no use case can forget to tell; others are told by the bus.
type rights struct {
	mu      sync.Mutex
	version int64
	told    map[*func()]struct{} // the wakes of all who watch
	sights  map[string]sight     // by organization
	ear     *event.Listener      // nil: nobody listens yet
}

// looked is when, and at which version, rights were looked at.
type looked struct {
	version int64
	at      time.Time
}

// sight is what an organization sees of others' users.
type sight struct {
	looked
	of string
}

// join has wake called whenever rights may have changed.
func (g *rights) join(wake func()) (leave func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.told == nil {
		g.told = map[*func()]struct{}{}
	}
	g.told[&wake] = struct{}{}
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.told, &wake)
	}
}

// changed makes all subscribers show anew what they may, before the next message.
func (g *rights) changed() {
	g.mu.Lock()
	g.version++
	all := make([]func(), 0, len(g.told))
	for wake := range g.told {
		all = append(all, *wake)
	}
	g.mu.Unlock()
	for _, wake := range all {
		wake()
	}
}

// fresh says whether what was looked at still counts.
func (g *rights) fresh(l looked) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return l.version == g.version && time.Since(l.at) < rightsEvery
}

func (g *rights) now() looked {
	g.mu.Lock()
	defer g.mu.Unlock()
	return looked{g.version, time.Now()}
}

// listen hears what other replicas tell, as long as the bus lives.
func (g *rights) listen(bus event.Bus) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ear != nil {
		return nil
	}
	ear, err := bus.Listen(context.Background(), event.Rights)
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
				ear.Take()
			case <-tick.C:
			}
			g.changed()
		}
	}()
	return nil
}

// key names what a principal may see and do, the same for all who may the same:
// his rights, and what of customers' users is shown to his organization.
func (g *rights) key(ctx context.Context, r *Resolver, by auth.Principal) (string, looked, error) {
	if err := g.listen(r.bus); err != nil {
		return "", looked{}, errBusClosed()
	}
	now := g.now()
	g.mu.Lock()
	seen, ok := g.sights[by.Organization]
	g.mu.Unlock()
	if !ok || !g.fresh(seen.looked) {
		rows, err := r.client.Organization.Query().Where(organization.ProviderID(by.Organization)).
			Order(ent.Asc(organization.FieldID)).Select(organization.FieldUserVisibility).All(auth.With(ctx, by))
		if err != nil {
			return "", looked{}, err
		}
		seen = sight{looked: now}
		for _, row := range rows {
			seen.of += row.ID + " " + string(row.UserVisibility) + "\n"
		}
		seen.of = digest(seen.of)
		g.mu.Lock()
		if g.sights == nil || len(g.sights) > mostOwners {
			g.sights = map[string]sight{}
		}
		g.sights[by.Organization] = seen
		g.mu.Unlock()
	}
	return digest(fmt.Sprintf("%+v", sharedWith(by)) + seen.of), now, nil
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:12])
}

// notice has writes of entities told when they are committed: those that decide
// who may do what or what is shown to whom, and the audit log's.
func (g *rights) notice(client *ent.Client, bus event.Bus, failed func(topic string, err error)) {
	tell := func(topic, key string) {
		if topic == event.Rights {
			g.changed() // here at once
		}
		if err := bus.Publish(context.Background(), topic, key); err != nil {
			failed(topic, err)
		}
	}
	client.Use(func(next ent.Mutator) ent.Mutator {
		return ent.MutateFunc(func(ctx context.Context, m ent.Mutation) (ent.Value, error) {
			v, err := next.Mutate(ctx, m)
			if err != nil {
				return v, err
			}
			topic, key := topicOf(m)
			if topic == "" {
				return v, nil
			}
			in, ok := m.(interface{ Tx() (*ent.Tx, error) })
			if !ok {
				tell(topic, key)
				return v, nil
			}
			tx, err := in.Tx()
			if err != nil { // outside of a transaction
				tell(topic, key)
				return v, nil
			}
			tx.OnCommit(func(next ent.Committer) ent.Committer {
				return ent.CommitFunc(func(ctx context.Context, tx *ent.Tx) error {
					err := next.Commit(ctx, tx)
					if err == nil {
						tell(topic, key)
					}
					return err
				})
			})
			return v, nil
		})
	})
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
	case ent.TypeMemberGroupEntry:
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
