package tmr_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/backend"
	"github.com/quorate/quorate/internal/container"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/tmr"
)

// real is three backends with real containers on real sockets, and their vendor.
type real struct {
	t          *testing.T
	root, firm seal.Signer
	cert       []byte
	paths      [3]string
	addrs      [3]string
	keys       [3]*rpc.Key
	containers [3]*container.Container
	stops      [3]func()
	conf       tmr.Config
	number     uint64
	previous   [3][32]byte
}

func newReal(t *testing.T) *real {
	t.Helper()
	seed := func(n byte) []byte { return bytes.Repeat([]byte{n}, 32) }
	r := &real{t: t, root: seal.NewSigner(seed(1)), firm: seal.NewSigner(seed(2))}
	var err error
	if r.cert, err = seal.SignFirmCert(r.root, seal.FirmCert{Firm: product.Firm, Key: r.firm.Public(), Serial: 1}); err != nil {
		t.Fatal(err)
	}
	r.conf = tmr.Config{Name: "tmr-a", Virtual: virtual, ActivationID: activation, Key: newKey(t)}
	r.conf.Patience = 10 * time.Second // a busy machine is not what is tested
	for i, serial := range serials {
		r.paths[i], r.keys[i] = filepath.Join(t.TempDir(), "container"), newKey(t)
		c, err := container.Create(r.paths[i], container.Params{Serial: serial, Root: r.root.Public(), ActivationID: activation})
		if err != nil {
			t.Fatal(err)
		}
		r.serve(i, c)
		r.conf.Backends[i] = tmr.BackendConfig{Position: i + 1, Serial: serial, URL: "https://" + r.addrs[i], Pin: r.keys[i].Pin()}
	}
	t.Cleanup(func() {
		for _, stop := range r.stops {
			stop()
		}
	})
	return r
}

func (r *real) serve(i int, c *container.Container) {
	r.t.Helper()
	b, err := backend.New(backend.Config{Container: c, Pins: []string{r.conf.Key.Pin()}})
	if err != nil {
		r.t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(b.Handler())
	server := rpc.NewServer(mux, slog.New(slog.DiscardHandler))
	server.TLSConfig = rpc.ServerTLS(r.keys[i], []string{r.conf.Key.Pin()})
	at := r.addrs[i]
	if at == "" {
		at = "127.0.0.1:0"
	}
	ln, err := net.Listen("tcp", at)
	if err != nil {
		r.t.Fatal(err)
	}
	r.addrs[i], r.containers[i] = ln.Addr().String(), c
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		_ = rpc.Serve(ctx, server, ln)
		close(done)
	}()
	r.stops[i] = sync.OnceFunc(func() {
		cancel()
		_ = server.Close()
		<-done
		_ = c.Close()
	})
}

// restart ends a backend as a crash does, and opens its file again.
func (r *real) restart(i int) {
	r.t.Helper()
	r.stops[i]()
	c, err := container.Open(r.paths[i])
	if err != nil {
		r.t.Fatal(err)
	}
	r.serve(i, c)
}

func (r *real) group() *tmr.Group {
	r.t.Helper()
	g, err := tmr.NewGroup(r.conf)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := g.Start(context.Background()); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(g.Stop)
	r.await(g, "three backends", func(v license.View) bool { return v.PresentCount() == 3 })
	return g
}

func (r *real) await(g *tmr.Group, what string, ok func(license.View) bool) {
	r.t.Helper()
	limit, cancel := context.WithTimeout(r.t.Context(), 30*time.Second)
	defer cancel()
	for v := range watch(limit, g) {
		if ok(v) {
			return
		}
	}
	r.t.Fatalf("%s: the last view was %s", what, g.View().Status())
}

// roll brings licenses into all three containers, one at a time.
func (r *real) roll(g *tmr.Group, all ...seal.Grant) {
	r.t.Helper()
	group := &seal.Group{ActivationID: activation, Virtual: virtual, TokenKey: r.root.Public()}
	for i, c := range r.containers {
		group.Members[i] = seal.Member{Serial: c.Serial(), Key: c.Identity().Sign}
	}
	r.number++
	var updates []*quoratev1.BackendUpdate
	for i, c := range r.containers {
		b, err := seal.SealUpdate(r.firm, r.cert, c.Identity(), seal.UpdateHeader{
			Firm: product.Firm, Serial: c.Serial(), Number: r.number, Previous: r.previous[i], IssuedAt: time.Now(),
		}, seal.Payload{Set: all, Group: group})
		if err != nil {
			r.t.Fatal(err)
		}
		r.previous[i] = seal.Digest(b)
		updates = append(updates, &quoratev1.BackendUpdate{Position: uint32(i + 1), Update: b, Digest: r.previous[i][:]})
	}
	expect := make(map[license.Product]uint32)
	for _, h := range all {
		expect[h.License.Product] = h.License.Options.TMRID
	}
	if err := g.Stage(r.t.Context(), updates); err != nil {
		r.t.Fatal(err)
	}
	for i := range updates {
		if _, err := g.Activate(r.t.Context(), i+1, updates[i]); err != nil {
			r.t.Fatal(err)
		}
		if err := g.Verify(r.t.Context(), i+1, expect, 0); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *real) grant(o license.Options) seal.Grant {
	r.t.Helper()
	private, _, err := seal.NewProductKey()
	if err != nil {
		r.t.Fatal(err)
	}
	g := seal.Grant{License: license.Held{License: license.License{Product: product, Name: "Chart Processing", Options: o}}, ProductKey: private}
	if o.Protected != (license.DataName{}) {
		g.Protected = []byte("the text")
	}
	if o.Secret != (license.DataName{}) {
		g.Secret = []byte("the secret")
	}
	return g
}

func (r *real) token() []byte {
	r.t.Helper()
	b, err := seal.SignToken(r.root, seal.Token{
		Container: virtual, Product: product, Handle: "h", Mode: license.UserLimit, Seat: 1, Epoch: 1, N: 1,
		Lease: time.Minute, IssuedAt: time.Now(),
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return b
}

// Units on real files and sockets, by the real clock: two leaders, programs that
// repeat, and each backend restarted in turn. Every taking that was answered is
// counted, and none twice.
func TestUnitsOnRealBackends(t *testing.T) {
	r := newReal(t)
	g := r.group()
	const granted, programs, each = 5000, 6, 40
	units := uint64(granted)
	r.roll(g, r.grant(license.Options{Quantity: 20, TMRID: 7, Issue: 1, Units: &units}))
	rival := r.group()

	var mu sync.Mutex
	leader, epoch := g, uint64(1)
	leads := func() (*tmr.Group, uint64) {
		mu.Lock()
		defer mu.Unlock()
		return leader, epoch
	}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	var running sync.WaitGroup
	for p := range programs {
		running.Go(func() {
			for k := range each {
				for try := 0; ; try++ {
					g, epoch := leads()
					_, err := g.TakeUnits(ctx, epoch, product, 1, granted, fmt.Sprintf("program-%d-%d", p, k), uint64(1+k%3))
					if err == nil && (k%5 != 0 || try > 0) { // some don't believe the first answer
						break
					}
					if ctx.Err() != nil {
						t.Errorf("program %d: %v", p, err)
						return
					}
				}
			}
		})
	}
	for i := range 3 {
		r.restart(i)
		r.await(g, "it is back", func(v license.View) bool { return v.PresentCount() == 3 })
		r.await(rival, "it is back", func(v license.View) bool { return v.PresentCount() == 3 })
		mu.Lock()
		leader, epoch = []*tmr.Group{rival, g, rival}[i], epoch+1
		mu.Unlock()
	}
	running.Wait()
	var want uint64
	for k := range each {
		want += programs * uint64(1+k%3)
	}
	last := r.group()
	u, err := last.Use(ctx, 100, product, 1)
	if err != nil || u.Units != want {
		t.Errorf("%d units are counted, %v, instead of %d", u.Units, err, want)
	}
	_, err = g.Use(ctx, epoch, product, 1)
	coded(t, "an epoch of before", err, license.CodeFenced)
	_, err = last.TakeUnits(ctx, 100, product, 1, granted, "too-many-by-one", granted-want+1)
	coded(t, "one too many", err, license.CodeNoUnits)
	if left, err := last.TakeUnits(ctx, 100, product, 1, granted, "all-that-is-left", granted-want); err != nil || left != 0 {
		t.Errorf("the rest: %d, %v", left, err)
	}
	// An update grants them anew, under the next issue.
	anew := uint64(10)
	before := license.Options{Quantity: 20, TMRID: 7, Issue: 1, Units: &units}
	next := r.grant(license.Options{Quantity: 20, TMRID: 8, Issue: 2, Units: &anew})
	next.License.Predecessor = &before
	r.roll(last, next)
	if left, err := last.TakeUnits(ctx, 100, product, 2, anew, "the-first-anew", 4); err != nil || left != 6 {
		t.Errorf("anew: %d, %v", left, err)
	}
}

func TestDataAndTimeOnRealBackends(t *testing.T) {
	r := newReal(t)
	g := r.group()
	text, secret := license.DataName{1}, license.DataName{2}
	r.roll(g, r.grant(license.Options{Quantity: 20, TMRID: 7, Protected: text, Secret: secret}))
	if got, err := g.ReadData(t.Context(), product, text, r.token()); err != nil || string(got) != "the text" {
		t.Errorf("%q, %v", got, err)
	}
	var keys [4][]byte
	for i := range keys {
		var err error
		if keys[i], err = g.UseSecret(t.Context(), product, secret, []byte("context"), r.token()); err != nil || len(keys[i]) != 32 {
			t.Fatal(len(keys[i]), err)
		}
		if !hmac.Equal(keys[i], keys[0]) {
			t.Error("two backends make different keys")
		}
	}
	if off := time.Until(g.Moment().At); g.Moment().SetBack || off > 0 || off < -5*time.Second {
		t.Errorf("the group's time is %v off, %+v", off, g.Moment())
	}
	var certificates [][]byte
	now := time.Now()
	for _, n := range g.TimeNonces() {
		c, err := seal.SignTime(r.root, seal.TimeCertificate{Serial: n.Serial, Nonce: n.Nonce, At: now})
		if err != nil {
			t.Fatal(err)
		}
		certificates = append(certificates, c)
	}
	if len(certificates) != 3 {
		t.Fatalf("%d nonces", len(certificates))
	}
	if err := g.Certify(t.Context(), certificates); err != nil {
		t.Fatal(err)
	}
	for i, c := range r.containers {
		if at := c.Moment().Certified; at.Sub(now).Abs() > time.Second {
			t.Errorf("backend %d is certified at %v", i+1, at)
		}
	}
	coded(t, "again", g.Certify(t.Context(), certificates[:1]), license.CodeTimeStale)
}
