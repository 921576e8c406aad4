package platform_test

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform"
	"github.com/quorate/quorate/internal/platform/accounts"
	"github.com/quorate/quorate/internal/platform/catalog"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/provision"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/store/storetest"
)

//nolint:gochecknoglobals // prepared once for all tests
var databases = storetest.New("platform", nil)

// onBoth runs a test on SQLite and on PostgreSQL.
func onBoth(t *testing.T, test func(t *testing.T, l *lab)) {
	t.Run("sqlite", func(t *testing.T) { test(t, newLab(t, databases.SQLite(t))) })
	t.Run("postgres", func(t *testing.T) { test(t, newLab(t, databases.Postgres(t))) })
}

// lab is a platform with one vendor.
type lab struct {
	*platform.Platform
	t     *testing.T
	jobs  *jobs
	bus   *event.Local
	first accounts.Bootstrapped
	owner auth.Principal
}

// jobs remembers what was enqueued.
type jobs struct {
	mu   sync.Mutex
	all  []core.Job
	fail bool // the next one, and with it its transaction
}

func (j *jobs) EnqueueTx(_ context.Context, tx *sql.Tx, job core.Job) error {
	if tx == nil {
		panic("no transaction")
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.fail {
		j.fail = false
		return errors.New("the process was killed")
	}
	j.all = append(j.all, job)
	return nil
}

func (j *jobs) count() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.all)
}

const password = "correct horse battery"

func firstSpec() accounts.BootstrapSpec {
	return accounts.BootstrapSpec{Organization: "Nautical Charts", Email: "Owner@example.com", Name: "Olga Owner", Password: password}
}

func newPlatform(t *testing.T, s *store.Store, master byte) (*platform.Platform, *jobs, *event.Local) {
	t.Helper()
	key := make([]byte, core.MasterKeySize)
	key[0] = master
	keys, err := core.NewMasterKey(key)
	if err != nil {
		t.Fatal(err)
	}
	j, bus := &jobs{}, event.NewLocal()
	t.Cleanup(func() { _ = bus.Close() })
	p, err := platform.New(platform.Config{Store: s, Bus: bus, Keys: keys, Jobs: j,
		Passwords: auth.NewHasher(auth.Cost{Time: 1, Memory: 64, Threads: 1}, 2)})
	if err != nil {
		t.Fatal(err)
	}
	return p, j, bus
}

func newLab(t *testing.T, dsn string) *lab {
	t.Helper()
	s, err := store.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	l := &lab{t: t}
	l.Platform, l.jobs, l.bus = newPlatform(t, s, 1)
	if l.first, err = l.Bootstrap(t.Context(), firstSpec()); err != nil {
		t.Fatal(err)
	}
	if l.owner, err = l.signIn(t.Context(), "owner@example.com", password); err != nil {
		t.Fatal(err)
	}
	return l
}

// signIn gives who an address and a password are.
func (l *lab) signIn(ctx context.Context, email, password string) (auth.Principal, error) {
	claim, _, err := l.People().ByPassword(ctx, email, password)
	if err != nil {
		return auth.Principal{}, err
	}
	return l.People().Visitor(ctx, claim)
}

func (l *lab) system() context.Context { return auth.With(l.t.Context(), auth.System("test")) }

func (l *lab) as(p auth.Principal) context.Context { return auth.With(l.t.Context(), p) }

func (l *lab) vendor() context.Context { return l.as(l.owner) }

// with is the vendor's member in another role.
func (l *lab) with(r auth.Role) context.Context {
	p := l.owner
	p.Role = r
	return l.as(p)
}

// customer is the owner of the group's customer.
func (l *lab) customer(g *ent.TmrGroup) context.Context {
	return l.as(auth.Principal{Kind: auth.KindMember, ID: "mem_customer", Organization: *g.CustomerID, Provider: g.VendorID,
		Role: auth.Owner, Name: "Carl Customer"})
}

// stranger is the owner of another vendor.
func (l *lab) stranger() context.Context {
	org, err := l.Store().Client().Organization.Create().SetName("Stranger").SetVendor(true).Save(l.system())
	if err != nil {
		l.t.Fatal(err)
	}
	return l.as(auth.Principal{Kind: auth.KindMember, ID: "mem_stranger", Organization: org.ID, Role: auth.Owner, Name: "Stan"})
}

// link is the first server of the group.
func (l *lab) link(made provision.Provisioned) context.Context {
	l.t.Helper()
	p, err := l.AuthenticateLink(l.t.Context(), made.Servers[0].Token)
	if err != nil {
		l.t.Fatal(err)
	}
	return l.as(p)
}

var product = license.Product{Firm: 6000010, Code: 14}

// spec is the group of the domain's example, with fresh containers.
func (l *lab) spec() provision.ProvisionSpec {
	l.t.Helper()
	s := provision.ProvisionSpec{
		Customer: "Shipping Company",
		Firm:     catalog.FirmSpec{Code: product.Firm, Name: "Nautical Charts"},
		Product:  catalog.ProductSpec{Code: product.Code, Name: "Chart Processing"},
		Item:     catalog.ItemSpec{Name: "Chart Processing TMR", Options: license.Options{Quantity: 20, FeatureMap: 1<<32 - 1}},
		Group: provision.GroupSpec{
			Name: "Bridge", Virtual: license.Serial{Mask: 131, Number: 4837572}, FirstTMRID: 7,
			TokenKey: make(ed25519.PublicKey, ed25519.PublicKeySize),
			Servers:  []provision.ServerSpec{{Name: "a", Address: "10.0.0.1:7070"}, {Name: "b", Address: "10.0.0.2:7070"}},
		},
	}
	for i, n := range []uint64{1874829, 27845973, 3879234} {
		s.Group.Fingerprints[i] = l.fingerprint(seal.Fingerprint{Serial: license.Serial{Mask: 130, Number: n}})
	}
	return s
}

func (l *lab) fingerprint(f seal.Fingerprint) []byte {
	l.t.Helper()
	identity, err := seal.NewIdentity()
	if err != nil {
		l.t.Fatal(err)
	}
	f.Identity = identity.Public()
	if f.Root == nil {
		f.Root = l.first.Root
	}
	if f.ActivationID == ([16]byte{}) {
		f.ActivationID = [16]byte{1, 2, 3}
	}
	f.At = time.Now().UTC().Truncate(time.Second)
	b, err := seal.SignFingerprint(identity, f)
	if err != nil {
		l.t.Fatal(err)
	}
	return b
}

func (l *lab) provision() provision.Provisioned {
	l.t.Helper()
	made, err := l.Provision(l.vendor(), l.spec())
	if err != nil {
		l.t.Fatal(err)
	}
	return made
}

func (l *lab) audited(action string) int {
	l.t.Helper()
	all, err := l.Store().Client().AuditEntry.Query().All(l.system())
	if err != nil {
		l.t.Fatal(err)
	}
	n := 0
	for _, a := range all {
		if a.Action == action {
			n++
		}
	}
	return n
}

func wantCode(t *testing.T, what string, err error, code license.Code) {
	t.Helper()
	if license.CodeOf(err) != code {
		t.Errorf("%s: %v instead of %s", what, err, code)
	}
}

func wantSignal(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	default: // publications are delivered before the use case returns
		t.Errorf("%s: subscribers were not told", what)
	}
}

func wantQuiet(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
		t.Errorf("%s: subscribers were told of nothing", what)
	default:
	}
}

func (l *lab) watch(topic, key string) <-chan struct{} {
	l.t.Helper()
	c, err := l.bus.Subscribe(l.t.Context(), topic, key)
	if err != nil {
		l.t.Fatal(err)
	}
	return c
}

func viewOf(version uint64, q, id [3]uint32) license.View {
	var obs [3]license.Observation
	for i := range obs {
		if id[i] == 0 {
			continue
		}
		h := license.Held{License: license.License{Product: product, Name: "Chart Processing",
			Options: license.Options{Quantity: q[i], TMRID: id[i]}}}
		if id[i] > 7 {
			h.Predecessor = &license.Options{Quantity: 20, TMRID: 7}
		}
		obs[i] = license.Observation{Presence: license.Present, Licenses: []license.Held{h}}
	}
	v := license.Merge(license.View{}, obs)
	v.Version = version
	return v
}
