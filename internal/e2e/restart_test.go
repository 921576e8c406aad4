package e2e

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/container"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/testenv"
)

const (
	restartQuantity = 9
	restartPrograms = 12
	restartRounds   = 12
	shortRestarts   = 6
)

// A plain license server is killed again and again, at whatever instant, while
// programs take, renew and release handles of every mode and repeat what had no
// answer: everybody goes on with the handle that he has, nobody has it twice, and
// there are never more than were bought.
func TestRestartWithLeasesInAFile(t *testing.T) {
	seed := uint64(time.Now().UnixNano()) //nolint:gosec // G115: any will do
	t.Logf("seed %d", seed)
	r := newRestart(t)
	r.start()
	ctx, stop := context.WithCancel(t.Context())
	var programs sync.WaitGroup
	for i := range restartPrograms {
		rng := rand.New(rand.NewPCG(seed, uint64(i))) //nolint:gosec // G404: no secret
		programs.Go(func() { r.program(ctx, i, rng) })
	}
	rng := rand.New(rand.NewPCG(seed, 1<<32)) //nolint:gosec // G404: no secret
	rounds := restartRounds
	if testing.Short() {
		rounds = shortRestarts
	}
	for round := 0; round < rounds && !t.Failed(); round++ {
		work := time.NewTimer(time.Duration(50+rng.IntN(200)) * time.Millisecond)
		<-work.C
		r.server.kill()
		r.start()
		r.check(fmt.Sprintf("after kill %d", round+1))
	}
	stop()
	programs.Wait()
	t.Logf("%d accesses granted, %d denied, %d renewals, %d releases, %d calls repeated", r.granted, r.denied, r.renewed, r.released, r.repeated)
	if r.granted == 0 || r.denied == 0 || r.renewed == 0 || r.released == 0 || r.repeated == 0 {
		t.Error("too little has happened")
	}
	r.check("at the end")

	// Even with the file lost, the tokens bring everybody back.
	r.server.kill()
	if err := os.Remove(r.dir + "/leases.db"); err != nil {
		t.Fatal(err)
	}
	r.start()
	for _, h := range slices.Collect(maps.Values(r.held)) {
		if _, err := r.renew(t.Context(), h.token); err != nil {
			t.Errorf("%s after the file was lost: %v", h.id, err)
		}
	}
	r.check("after the file was lost")
}

type restart struct {
	t      *testing.T
	dir    string
	addr   string
	server *process
	api    quoratev1connect.LicenseServiceClient

	// calls is held for reading during a call, so that check finds none under way.
	calls sync.RWMutex

	mu                                           sync.Mutex
	held                                         map[string]*holding
	granted, denied, renewed, released, repeated int
}

// holding is a handle from the answer that gave it to the first call that gives
// it back.
type holding struct {
	id, station string
	mode        quoratev1.AccessMode
	licenses    uint32
	token       []byte
}

func newRestart(t *testing.T) *restart {
	t.Helper()
	r := &restart{t: t, dir: t.TempDir(), addr: testenv.FreeAddr(t), held: make(map[string]*holding)}
	fine := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	signer := func() seal.Signer {
		seed, err := seal.NewSeed()
		fine(err)
		return seal.NewSigner(seed)
	}
	root, firm := signer(), signer()
	serial := license.Serial{Mask: license.MaskUniversal, Number: 1874829}
	held, err := container.Create(r.dir+"/c.qrc", container.Params{Serial: serial, Root: root.Public()})
	fine(err)
	p := license.Product{Firm: 6000010, Code: 14}
	cert, err := seal.SignFirmCert(root, seal.FirmCert{Firm: p.Firm, Key: firm.Public(), Serial: 1})
	fine(err)
	update, err := seal.SealUpdate(firm, cert, held.Identity(),
		seal.UpdateHeader{Firm: p.Firm, Serial: serial, Number: 1, IssuedAt: time.Now()},
		seal.Payload{Set: []seal.Grant{{License: license.Held{License: license.License{
			Product: p, Name: "Chart Processing", Options: license.Options{Quantity: restartQuantity},
		}}}}})
	fine(err)
	staged, err := held.Stage(update)
	fine(err)
	_, err = held.Activate(staged.Digest, nil)
	fine(err)
	fine(held.Close())
	client := rpc.NewClient(rpc.ClientConfig{})
	t.Cleanup(client.Close)
	r.api = quoratev1connect.NewLicenseServiceClient(client, "http://"+r.addr, rpc.ClientOptions())
	return r
}

func (r *restart) start() {
	r.t.Helper()
	r.server = start(r.t, "server", "server", "--container", r.dir+"/c.qrc", "--listen", r.addr, "--plain", "--json", "--lease", "1h",
		"--leases", r.dir+"/leases.db", "--key", r.dir+"/tls.key", "--token-key", r.dir+"/token.key")
}

// again repeats a call until a server has answered it.
func (r *restart) again(ctx context.Context, call func(context.Context) error) error {
	r.calls.RLock()
	defer r.calls.RUnlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
	defer cancel()
	pause := time.NewTicker(5 * time.Millisecond)
	defer pause.Stop()
	for {
		err := call(ctx)
		switch license.CodeOf(err) {
		case license.CodeUnavailable, license.CodeNotLeader:
		default:
			return err
		}
		r.count(&r.repeated)
		select {
		case <-ctx.Done():
			return err
		case <-pause.C:
		}
	}
}

func (r *restart) count(n *int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*n++
}

func (r *restart) renew(ctx context.Context, token []byte) (renewed []byte, err error) {
	err = r.again(ctx, func(ctx context.Context) error {
		answer, err := r.api.Renew(ctx, connect.NewRequest(&quoratev1.RenewRequest{Token: token}))
		if err == nil {
			renewed = answer.Msg.GetHandle().GetToken()
		}
		return err
	})
	return renewed, err
}

// program takes, renews and releases handles until ctx ends; it keeps what it
// has then.
func (r *restart) program(ctx context.Context, number int, rng *rand.Rand) {
	var mine []*holding
	for n := 0; ctx.Err() == nil && !r.t.Failed(); n++ {
		switch {
		case len(mine) < 3 && rng.IntN(3) > 0:
			h := &holding{
				id: fmt.Sprintf("program-%d-%d", number, n), station: fmt.Sprint("station-", rng.IntN(5)),
				mode: quoratev1.AccessMode(1 + rng.IntN(4)), licenses: 1 + uint32(rng.IntN(3)), //nolint:gosec // G115: small
			}
			err := r.again(ctx, func(ctx context.Context) error {
				answer, err := r.api.Access(ctx, connect.NewRequest(&quoratev1.AccessRequest{
					RequestId: h.id, Product: &quoratev1.Product{Firm: 6000010, Code: 14}, Mode: h.mode, Licenses: h.licenses,
					Client: &quoratev1.Client{Address: "pc", User: "ada", Process: uint32(number), Station: h.station}, //nolint:gosec // G115: small
				}))
				if err == nil {
					h.token = answer.Msg.GetHandle().GetToken()
					r.took(h)
				}
				return err
			})
			switch license.CodeOf(err) {
			case "":
				mine = append(mine, h)
			case license.CodeNoFreeSeat, license.CodeStationBusy:
				r.count(&r.denied)
			default:
				r.t.Errorf("access %s: %v", h.id, err)
			}
		case len(mine) > 0 && rng.IntN(2) == 0:
			h := mine[rng.IntN(len(mine))]
			token, err := r.renew(ctx, h.token)
			if err != nil {
				r.t.Errorf("renewal of %s: %v", h.id, err)
				return
			}
			r.mu.Lock()
			h.token = token
			r.renewed++
			r.mu.Unlock()
		case len(mine) > 0:
			i := rng.IntN(len(mine))
			h := mine[i]
			err := r.again(ctx, func(ctx context.Context) error {
				r.mu.Lock()
				delete(r.held, h.id)
				r.mu.Unlock()
				_, err := r.api.Release(ctx, connect.NewRequest(&quoratev1.ReleaseRequest{Token: h.token}))
				return err
			})
			if err != nil {
				r.t.Errorf("release of %s: %v", h.id, err)
			}
			mine = slices.Delete(mine, i, i+1)
			r.count(&r.released)
		}
	}
}

// took notes a handle and checks that all that are held may be held together.
func (r *restart) took(h *holding) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.granted++
	r.held[h.id] = h
	if n := r.cost(); n > restartQuantity {
		r.t.Errorf("with %s the handles held take %d of %d", h.id, n, restartQuantity)
	}
	for _, o := range r.held {
		if o != h && o.station == h.station && o.mode != noLimit && h.mode != noLimit && (o.mode == alone || h.mode == alone) {
			r.t.Errorf("%s and %s are both on %s, and one is exclusive", o.id, h.id, h.station)
		}
	}
}

const (
	share   = quoratev1.AccessMode_ACCESS_MODE_STATION_SHARE
	alone   = quoratev1.AccessMode_ACCESS_MODE_EXCLUSIVE
	noLimit = quoratev1.AccessMode_ACCESS_MODE_NO_USER_LIMIT
)

// cost needs r.mu.
func (r *restart) cost() (n uint32) {
	stations := make(map[string]uint32)
	for _, h := range r.held {
		switch h.mode {
		case share:
			stations[h.station] = max(stations[h.station], h.licenses)
		case noLimit:
		default:
			n += h.licenses
		}
	}
	for _, most := range stations {
		n += most
	}
	return n
}

// check compares what the server has with what the programs have, while no call
// is under way.
func (r *restart) check(when string) {
	r.t.Helper()
	r.calls.Lock()
	defer r.calls.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	uses, err := r.api.ListLicenses(ctx, connect.NewRequest(&quoratev1.ListLicensesRequest{}))
	if err != nil {
		r.t.Fatalf("%s: %v", when, err)
	}
	list, err := r.api.ListHandles(ctx, connect.NewRequest(&quoratev1.ListHandlesRequest{}))
	if err != nil {
		r.t.Fatalf("%s: %v", when, err)
	}
	var there []string
	for _, h := range list.Msg.GetHandles() {
		there = append(there, h.GetId())
	}
	slices.Sort(there)
	want := slices.Sorted(maps.Keys(r.held))
	if !slices.Equal(there, want) {
		r.t.Errorf("%s the server has\n%s, the programs have\n%s", when, strings.Join(there, " "), strings.Join(want, " "))
	}
	if got := uses.Msg.GetLicenses()[0].GetTakenTotal(); got != r.cost() || got > restartQuantity {
		r.t.Errorf("%s %d licenses are taken, the programs' handles take %d", when, got, r.cost())
	}
}
