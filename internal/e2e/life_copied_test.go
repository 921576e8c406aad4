package e2e

import (
	"context"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/store"
)

// Containers that were copied, restored from a backup, lost and found again.
func TestLifeCopied(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	item := l.item(views, "Views")
	t.Run("copied", func(t *testing.T) { copied(t, l, item) })
	t.Run("restored", func(t *testing.T) { restored(t, l, item) })
	t.Run("lost", func(t *testing.T) { lostAndFound(t, l, item) })
}

// copied: both copies are in the same state, and yet the second is noticed.
func copied(t *testing.T, l *life, item string) {
	b := l.box("copied", "130-100", "Shipping Company", false)
	b.buy(item, 3)
	b.byFiles("first")
	l.copy("copied.qrc", "twin.qrc")
	twin := &box{life: l, name: "twin", serial: b.serial}

	b.buy(item, 1)
	b.byFiles("second") // the copy doesn't know of it
	b.wantState("UP_TO_DATE")
	says := b.refused("MANIPULATION_SUSPECTED", "offline", "start", b.serial, twin.request("first"))
	if !strings.Contains(says, "copied or restored") {
		t.Errorf("the copy's request: %s", says)
	}
	if k := b.wantState("SUSPECTED"); k.SuspectReason == "" {
		t.Error("it doesn't say what was odd")
	}
	// Nothing comes for either until a person has decided.
	b.buy(item, 1)
	b.refused("MANIPULATION_SUSPECTED", "offline", "start", b.serial, b.request("wait"))
	b.do("container", "decide", b.serial, "BLOCK", "--note", "two of them")
	if k := b.wantState("BLOCKED"); k.BlockReason != "two of them" {
		t.Errorf("blocked: %+v", k)
	}
	for _, of := range []*box{b, twin} {
		b.refused("CONTAINER_BLOCKED", "offline", "start", b.serial, of.request("blocked"))
		b.refused("CONTAINER_BLOCKED", "offline", "certify", of.request("time"))
	}
	b.refused("CONTAINER_BLOCKED", "order", b.serial, "1", "--item", item)
	b.refused("CONTAINER_BLOCKED", "container", "decide", b.serial, "ACCEPT")

	// Copied in one state: only their own counts of fingerprints tell.
	same := l.box("same", "130-101", "Shipping Company", false)
	same.buy(item, 2)
	same.byFiles("first")
	l.copy("same.qrc", "double.qrc")
	double := &box{life: l, name: "double", serial: same.serial}
	same.refused("ROLLOUT_UP_TO_DATE", "offline", "start", same.serial, same.request("mine"))
	double.request("other")
	same.refused("MANIPULATION_SUSPECTED", "offline", "start", same.serial, double.request("mine"))
	same.wantState("SUSPECTED")
}

// restored: a machine came back from an older backup, which a person accepts.
func restored(t *testing.T, l *life, item string) {
	b := l.box("restored", "130-110", "Shipping Company", false)
	b.buy(item, 3)
	b.byFiles("first")
	l.copy("restored.qrc", "backup.qrc")
	b.buy(item, 2)
	b.byFiles("second")
	b.do("container", "return", b.serial, views, "1")
	b.byFiles("third")
	b.wantHeld(map[string]int{views: 4})
	credit := l.credits(views)

	l.copy("backup.qrc", "restored.qrc")
	b.wantHeld(map[string]int{views: 3})
	b.refused("MANIPULATION_SUSPECTED", "offline", "start", b.serial, b.request("restored"))
	b.wantState("SUSPECTED")
	b.do("container", "decide", b.serial, "accept", "--note", "the disk had failed")
	b.wantState("AWAITING_RECEIPT") // the missing updates

	update, id := b.offline(b.request("again"), "again")
	var file struct {
		Parts []struct{ Firms []struct{ Number int } }
	}
	b.json(&file, "inspect", update, "--json")
	numbers := 0
	for _, p := range file.Parts {
		if len(p.Firms) == 1 {
			if numbers++; p.Firms[0].Number != 1+numbers {
				t.Errorf("update %d comes as number %d", p.Firms[0].Number, 1+numbers)
			}
		}
	}
	if numbers != 3 { // the two that are missing, and one that follows them
		t.Errorf("%d updates travel in %+v", numbers, file)
	}
	receipt, _ := b.apply(update)
	b.finish(id, receipt)
	b.wantHeld(map[string]int{views: 4})
	if k := b.wantState("UP_TO_DATE"); k.quantity(views) != 4 || k.UpdateCounter != 4 || l.credits(views) != credit {
		t.Errorf("repaired: %+v, %d credits", k, l.credits(views))
	}
}

// lostAndFound: a lost container is replaced, as often as the vendor allows.
func lostAndFound(t *testing.T, l *life, item string) {
	const customer = "Fishing Company"
	old, replacement, third := l.box("old", "130-120", customer, false), l.box("new", "130-121", customer, false), l.box("third", "130-122", customer, false)
	var firms struct {
		Firms struct {
			Edges []struct {
				Node struct {
					ID   string
					Code int
				}
			}
		}
	}
	l.api.query(t, `{ firms { edges { node { id code } } } }`, nil, &firms)
	for _, f := range firms.Firms.Edges {
		if f.Node.Code == 6000010 {
			l.api.query(t, `mutation($f: ID!) { setTransferRules(input: {firm: $f, rehosts: 1, days: 30}) { firm { rehostLimit } } }`, map[string]any{"f": f.Node.ID}, nil)
		}
	}
	clerk := *l // an owner may go beyond the limit
	clerk.api.token = l.administrator()

	old.buy(item, 3)
	old.byFiles("first")
	old.buy(item, 1) // never rolled out
	clerk.do("container", "rehost", old.serial, replacement.serial, "--reason", "the machine burned")
	clerk.do("container", "rehost", old.serial, replacement.serial, "--reason", "the machine burned") // again, which changes nothing
	if k := old.wantState("BLOCKED"); k.ReplacedBy == nil || k.ReplacedBy.Serial != replacement.serial || len(k.Transfers.Edges) != 1 {
		t.Errorf("replaced: %+v", k)
	}
	replacement.wantState("UPDATE_DUE")
	replacement.byFiles("first")
	replacement.wantHeld(map[string]int{views: 4})

	if says := clerk.refused("LIMIT_REACHED", "container", "rehost", replacement.serial, third.serial, "--reason", "lost too"); !strings.Contains(says, "the next is possible at") {
		t.Errorf("beyond the limit: %s", says)
	}
	replacement.wantState("UP_TO_DATE")
	third.wantState("UP_TO_DATE")

	// The lost one was not lost.
	says := old.refused("CONTAINER_BLOCKED", "offline", "start", old.serial, old.request("found"))
	if !strings.Contains(says, replacement.serial) {
		t.Errorf("it doesn't say what became of it: %s", says)
	}
	if k := old.wantState("BLOCKED"); !strings.Contains(k.SuspectReason, "showed up again") {
		t.Errorf("it isn't noted that it showed up: %+v", k)
	}
	old.refused("CONTAINER_BLOCKED", "container", "return", old.serial, views, "1")
	replacement.refused("CONTAINER_BLOCKED", "container", "move", replacement.serial, views, "1", "--to", old.serial)
}

// administrator makes an API token of an administrator.
func (l *life) administrator() string {
	l.t.Helper()
	ctx := auth.With(context.Background(), auth.System("test"))
	s, err := store.Open(ctx, l.path("platform.db"))
	if err != nil {
		l.t.Fatal(err)
	}
	defer s.Close()
	token, hash, err := auth.NewToken(auth.APIToken)
	if err != nil {
		l.t.Fatal(err)
	}
	if err := s.Client().ApiToken.Create().SetOrganizationID(l.vendor).SetName("clerk").SetRole("ADMINISTRATOR").SetHash(hash).Exec(ctx); err != nil {
		l.t.Fatal(err)
	}
	return token
}
