package options

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/backend"
	"github.com/quorate/quorate/internal/container"
	"github.com/quorate/quorate/internal/lease/memlease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/licenseserver"
	"github.com/quorate/quorate/internal/licenseserver/servertest"
	"github.com/quorate/quorate/internal/licenseserver/source"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/memnet"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/tmr"
)

const (
	firm license.FirmCode = 6000010
	life                  = 30 * time.Second // of a handle without a renewal
	here                  = "127.0.0.1:40000"
	away                  = "192.0.2.1:40000"
)

var (
	chart   = license.Product{Firm: firm, Code: 14}                                                                        //nolint:gochecknoglobals // a constant
	virtual = license.Serial{Mask: license.MaskVirtual, Number: 4837572}                                                   //nolint:gochecknoglobals // a constant
	quiet   = slog.New(slog.DiscardHandler)                                                                                //nolint:gochecknoglobals // a constant
	serials = [3]license.Serial{{Mask: 130, Number: 1874829}, {Mask: 130, Number: 27845973}, {Mask: 130, Number: 3879234}} //nolint:gochecknoglobals // a constant
)

// site is what outlives a bubble: the containers' files, and what the vendor
// knows of them.
type site struct {
	dir        string
	tmr        bool
	root, firm seal.Signer
	cert       []byte
	private    []byte // the product's
	public     []byte
	signer     seal.Signer // of tokens
	boxes      []*box
	held       *license.Options // as issued last
}

type box struct {
	path     string
	serial   license.Serial
	identity seal.PublicIdentity
	number   uint64
	previous [32]byte
}

func newSite(t *testing.T, tmr bool) *site {
	t.Helper()
	s := &site{dir: t.TempDir(), tmr: tmr, root: newSigner(t), firm: newSigner(t), signer: newSigner(t)}
	var err error
	s.cert, err = seal.SignFirmCert(s.root, seal.FirmCert{Firm: firm, Key: s.firm.Public(), Serial: 1})
	ok(t, err)
	s.private, s.public, err = seal.NewProductKey()
	ok(t, err)
	for i := range 1 {
		s.boxes = append(s.boxes, &box{serial: serials[i]})
	}
	if tmr {
		s.boxes = append(s.boxes, &box{serial: serials[1]}, &box{serial: serials[2]})
	}
	return s
}

func newSigner(t *testing.T) seal.Signer {
	t.Helper()
	seed, err := seal.NewSeed()
	ok(t, err)
	return seal.NewSigner(seed)
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// lab is a site in operation.
type lab struct {
	*site
	t          *testing.T
	containers []*container.Container
	store      *memlease.Store
	programs   *servertest.Network
	backends   memnet.Network
	stops      []func()
	group      *tmr.Group
	server     *licenseserver.Server
	clients    map[string]quoratev1connect.LicenseServiceClient // by where they call from
	requests   int
}

// run runs f on a plain license server and on a TMR group.
func run(t *testing.T, f func(t *testing.T, l *lab)) {
	t.Helper()
	single(t, f)
	group(t, f)
}

func single(t *testing.T, f func(t *testing.T, l *lab)) {
	t.Helper()
	t.Run("single", func(t *testing.T) { newSite(t, false).operate(t, f) })
}

func group(t *testing.T, f func(t *testing.T, l *lab)) {
	t.Helper()
	t.Run("tmr", func(t *testing.T) { newSite(t, true).operate(t, f) })
}

// operate runs the site in a bubble, whose clock begins with the year 2000.
func (s *site) operate(t *testing.T, f func(t *testing.T, l *lab)) {
	t.Helper()
	s.operateFrom(t, 0, f)
}

// operateFrom starts the site so long after the bubble's clock began.
func (s *site) operateFrom(t *testing.T, begin time.Duration, f func(t *testing.T, l *lab)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(begin)
		l := &lab{site: s, t: t}
		var err error
		l.store, err = memlease.Open("", memlease.Options{})
		ok(t, err)
		l.start()
		defer func() {
			l.stop()
			ok(t, l.store.Close())
		}()
		f(t, l)
	})
}

// start opens the containers and starts the servers over them.
func (l *lab) start() {
	l.t.Helper()
	l.containers, l.stops, l.clients = nil, nil, map[string]quoratev1connect.LicenseServiceClient{}
	for _, b := range l.boxes {
		l.containers = append(l.containers, b.open(l.t, l.dir, l.root))
	}
	l.programs = servertest.NewNetwork()
	cfg := licenseserver.Config{
		Name: "a", Store: l.store, Signer: l.signer, Arbiter: licenseserver.Always{}, Lease: life,
	}
	if l.tmr {
		l.startGroup()
		cfg.Source = source.NewVirtual(virtual, l.group)
	} else {
		cfg.Source, cfg.LocalPrograms = source.NewSingle(l.containers[0]), true
	}
	l.lead(cfg)
}

// lead starts a license server; a second one is the next leader.
func (l *lab) lead(cfg licenseserver.Config) {
	l.t.Helper()
	var err error
	l.server, err = licenseserver.New(cfg)
	ok(l.t, err)
	mux := http.NewServeMux()
	mux.Handle(l.server.Handler())
	l.programs.Serve(l.t, "licenses", mux)
	ok(l.t, l.server.Start(context.Background()))
	synctest.Wait()
}

func (b *box) open(t *testing.T, dir string, root seal.Signer) *container.Container {
	t.Helper()
	if b.path != "" {
		c, err := container.Open(b.path)
		ok(t, err)
		return c
	}
	b.path = filepath.Join(dir, b.serial.String()+".qrc")
	c, err := container.Create(b.path, container.Params{Serial: b.serial, Root: root.Public(), ActivationID: [16]byte{1}})
	ok(t, err)
	b.identity = c.Identity()
	return c
}

func (l *lab) startGroup() {
	l.t.Helper()
	key, err := rpc.NewKey()
	ok(l.t, err)
	cfg := tmr.Config{
		Name: "tmr-a", Virtual: virtual, ActivationID: [16]byte{1}, Key: key, Dial: l.backends.Dial,
		Beat: 5 * time.Second, Patience: 15 * time.Second,
	}
	for i, c := range l.containers {
		own, err := rpc.NewKey()
		ok(l.t, err)
		addr := fmt.Sprintf("backend%d:443", i+1)
		cfg.Backends[i] = tmr.BackendConfig{Position: i + 1, Serial: c.Serial(), URL: "https://" + addr, Pin: own.Pin()}
		b, err := backend.New(backend.Config{Container: c, Pins: []string{key.Pin()}})
		ok(l.t, err)
		mux := http.NewServeMux()
		mux.Handle(b.Handler())
		server := rpc.NewServer(mux, quiet)
		server.TLSConfig = rpc.ServerTLS(own, []string{key.Pin()})
		ln, err := l.backends.Listen(addr)
		ok(l.t, err)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- rpc.Serve(ctx, server, ln) }()
		l.stops = append(l.stops, sync.OnceFunc(func() {
			l.backends.Reset(addr)
			cancel()
			_ = server.Close()
			<-done
		}))
	}
	l.group, err = tmr.NewGroup(cfg)
	ok(l.t, err)
	ok(l.t, l.group.Start(context.Background()))
	l.await("three backends", func(v license.View) bool { return v.PresentCount() == license.Backends })
}

// await waits for a view of the group.
func (l *lab) await(what string, is func(license.View) bool) {
	l.t.Helper()
	for range 1000 {
		if is(l.group.View()) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	l.t.Fatalf("no view of %s: %s", what, l.group.View().Status())
}

func (l *lab) stop() {
	l.server.Stop()
	if l.group != nil {
		l.group.Stop()
	}
	for _, stop := range l.stops {
		stop()
	}
	for _, c := range l.containers {
		_ = c.Close()
	}
}

// restart is all machines down and up again.
func (l *lab) restart() {
	l.t.Helper()
	l.stop()
	l.start()
}

// terms are what an update sets.
type terms struct {
	license.Options
	protected, secret []byte
}

func named(content []byte) (n license.DataName) {
	if len(content) > 0 {
		sum := sha256.Sum256(content)
		copy(n[:], sum[:])
	}
	return n
}

// update installs an update under which the license has five seats and what
// change sets, and nothing else of what it had. It is in force when it returns.
func (l *lab) update(change func(*terms)) {
	l.t.Helper()
	if err := l.tryUpdate(change); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) tryUpdate(change func(*terms)) error {
	l.t.Helper()
	next := terms{Options: license.Options{Quantity: 5}}
	if l.tmr {
		next.TMRID = 1
		if l.held != nil {
			next.TMRID = l.held.TMRID + 1
		}
	}
	if change != nil {
		change(&next)
	}
	next.Protected, next.Secret = named(next.protected), named(next.secret)
	p := seal.Payload{Set: []seal.Grant{{
		License:    license.Held{License: license.License{Product: chart, Name: "Chart Processing", Options: next.Options}},
		ProductKey: l.private, Protected: next.protected, Secret: next.secret,
	}}}
	if l.tmr {
		p.Set[0].License.Predecessor, p.Group = l.held, l.membership()
	}
	for i, b := range l.boxes {
		sealed, err := seal.SealUpdate(l.firm, l.cert, b.identity, seal.UpdateHeader{
			Firm: firm, Serial: b.serial, Number: b.number + 1, Previous: b.previous, IssuedAt: time.Now(),
		}, p)
		if err != nil {
			return err
		}
		staged, err := l.containers[i].Stage(sealed)
		if err != nil {
			return err
		}
		if _, err := l.containers[i].Activate(staged.Digest, l.statements(i, staged.Nonce)); err != nil {
			return err
		}
		b.number, b.previous = b.number+1, seal.Digest(sealed)
	}
	l.held = new(next.Options.Clone())
	if l.tmr {
		l.await("the update", func(v license.View) bool {
			f, found := v.Find(chart)
			return found && f.Unanimous() && f.Options.Equal(next.Options)
		})
	}
	return nil
}

func (l *lab) membership() *seal.Group {
	g := &seal.Group{ActivationID: [16]byte{1}, Virtual: virtual, TokenKey: l.signer.Public()}
	for i, b := range l.boxes {
		g.Members[i] = seal.Member{Serial: b.serial, Key: b.identity.Sign}
	}
	return g
}

func (l *lab) statements(of int, nonce []byte) (all [][]byte) {
	l.t.Helper()
	if !l.tmr || l.held == nil {
		return nil
	}
	for i, c := range l.containers {
		if i != of {
			s, err := c.Statement(nonce)
			ok(l.t, err)
			all = append(all, s)
		}
	}
	return all
}

// at lets time go by until an instant. What backends say of their time is in
// milliseconds.
func (l *lab) at(t time.Time) {
	if l.tmr {
		t = t.Add(2 * time.Millisecond)
	}
	time.Sleep(time.Until(t))
}

// justBefore lets time go by until it is nearly an instant.
func (l *lab) justBefore(t time.Time) { time.Sleep(time.Until(t.Add(-10 * time.Millisecond))) }

func (l *lab) client(from string) quoratev1connect.LicenseServiceClient {
	l.t.Helper()
	if l.clients[from] == nil {
		c := rpc.NewClient(rpc.ClientConfig{Dial: l.programs.DialContext})
		l.stops = append(l.stops, c.Close)
		l.clients[from] = quoratev1connect.NewLicenseServiceClient(c, "http://licenses", rpc.ClientOptions())
	}
	l.programs.From = from
	return l.clients[from]
}

// ask is one access.
type ask struct {
	from string // where from; empty: away
	*quoratev1.AccessRequest
}

func (l *lab) asked(change []func(*ask)) ask {
	l.requests++
	a := ask{from: away, AccessRequest: &quoratev1.AccessRequest{
		RequestId: fmt.Sprintf("request-%06d", l.requests), Product: rpc.ProductProto(chart),
		Client: &quoratev1.Client{Address: "pc-1", User: "ada", Process: 1, Application: "charts", Station: "pc-1"},
	}}
	for _, f := range change {
		f(&a)
	}
	return a
}

// access asks why first: both must say the same.
func (l *lab) access(name string, change ...func(*ask)) (*program, license.Code) {
	l.t.Helper()
	a := l.asked(change)
	api := l.client(a.from)
	why, err := api.Explain(l.t.Context(), connect.NewRequest(&quoratev1.ExplainRequest{
		Product: a.Product, Mode: a.Mode, Features: a.Features, Client: a.Client, ReleaseDateUnix: a.ReleaseDateUnix, Version: a.Version,
	}))
	if err != nil {
		l.t.Fatalf("%s: why: %v", name, err)
	}
	var said license.Code
	if r := why.Msg.GetReasons(); len(r) > 0 {
		said = license.Code(r[0].GetCode())
		if r[0].GetMessage() == "" || r[0].GetFix() == "" {
			l.t.Errorf("%s: why has no message or no fix: %v", name, r[0])
		}
	}
	answer, err := api.Access(l.t.Context(), connect.NewRequest(a.AccessRequest))
	code := license.CodeOf(err)
	if code != said || why.Msg.GetUsable() != (err == nil) {
		l.t.Errorf("%s: why says %q, access %v (%q)", name, said, err, code)
	}
	if err != nil {
		return nil, code
	}
	return &program{lab: l, api: api, Handle: answer.Msg.GetHandle(), why: why.Msg}, ""
}

// gets is an access that must be granted.
func (l *lab) gets(name string, change ...func(*ask)) *program {
	l.t.Helper()
	p, code := l.access(name, change...)
	if code != "" {
		l.t.Fatalf("%s: refused with %s", name, code)
	}
	return p
}

// passes is an access that must be granted, and is given back.
func (l *lab) passes(name string, change ...func(*ask)) {
	l.t.Helper()
	if p, code := l.access(name, change...); code != "" {
		l.t.Errorf("%s: refused with %s", name, code)
	} else {
		p.release()
	}
}

// refused is an access that must be refused, with a code; the listing tells the
// same where it isn't about who asks.
func (l *lab) refused(name string, want license.Code, change ...func(*ask)) {
	l.t.Helper()
	p, code := l.access(name, change...)
	if code != want {
		l.t.Errorf("%s: %q, want %q", name, code, want)
	}
	if p != nil {
		p.release()
	}
	listed := l.listed()
	switch want {
	case license.CodeExpired, license.CodeNotYetValid, license.CodeUsageOver, license.CodeNoUnits, license.CodeClockSetBack, license.CodeTMROnly, license.CodeNoMajority:
		if listed.GetWhyNot() != string(want) || listed.GetUsable() || listed.GetRefusal().GetFix() == "" {
			l.t.Errorf("%s: the listing says %q, %v", name, listed.GetWhyNot(), listed.GetRefusal())
		}
	default:
		if !listed.GetUsable() {
			l.t.Errorf("%s: the listing says %q", name, listed.GetWhyNot())
		}
	}
}

func (l *lab) listed() *quoratev1.LicenseUse {
	l.t.Helper()
	answer, err := l.client(away).ListLicenses(l.t.Context(), connect.NewRequest(&quoratev1.ListLicensesRequest{}))
	ok(l.t, err)
	if len(answer.Msg.GetLicenses()) != 1 {
		l.t.Fatalf("%d licenses are listed", len(answer.Msg.GetLicenses()))
	}
	return answer.Msg.GetLicenses()[0]
}

func wantCode(t *testing.T, what string, err error, want license.Code) {
	t.Helper()
	if license.CodeOf(err) != want {
		t.Errorf("%s: %v (code %q), want %q", what, err, license.CodeOf(err), want)
	}
}
