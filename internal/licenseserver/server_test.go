package licenseserver_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/memlease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/licenseserver"
	"github.com/quorate/quorate/internal/licenseserver/servertest"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
	"github.com/quorate/quorate/internal/seal"
)

// lab is some servers over one store and one source, in one bubble.
type lab struct {
	net     *servertest.Network
	source  *servertest.Source
	store   *memlease.Store
	elector servertest.Elector
	signer  seal.Signer
}

func newLab(t testing.TB, quantity uint32) *lab {
	t.Helper()
	store, err := memlease.Open("", memlease.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return &lab{
		net: servertest.NewNetwork(), source: servertest.NewSource(quantity), store: store,
		signer: seal.NewSigner([]byte(strings.Repeat("s", 32))),
	}
}

// start makes a server, starts it and serves it at http://name.
func (l *lab) start(t testing.TB, name string, change func(*licenseserver.Config)) *licenseserver.Server {
	t.Helper()
	cfg := licenseserver.Config{
		Name: name, Source: l.source, Store: l.store, Signer: l.signer,
		Arbiter: licenseserver.Always{}, Lease: 30 * time.Second,
	}
	if change != nil {
		change(&cfg)
	}
	s, err := licenseserver.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(s.Handler())
	l.net.Serve(t, name, mux)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	synctest.Wait()
	return s
}

func (l *lab) api(t testing.TB, name string) quoratev1connect.LicenseServiceClient {
	t.Helper()
	client := rpc.NewClient(rpc.ClientConfig{Dial: l.net.DialContext})
	t.Cleanup(client.Close)
	return quoratev1connect.NewLicenseServiceClient(client, "http://"+name, rpc.ClientOptions())
}

func access(id int) *quoratev1.AccessRequest {
	return &quoratev1.AccessRequest{
		RequestId: fmt.Sprintf("request-%04d", id), Product: rpc.ProductProto(servertest.Product()),
		Client: &quoratev1.Client{Address: "pc-1", User: "ada", Process: 1, Application: "charts", Station: "pc-1"},
	}
}

func take(t testing.TB, api quoratev1connect.LicenseServiceClient, r *quoratev1.AccessRequest) *quoratev1.Handle {
	t.Helper()
	answer, err := api.Access(t.Context(), connect.NewRequest(r))
	if err != nil {
		t.Fatal(err)
	}
	return answer.Msg.GetHandle()
}

func renew(ctx context.Context, api quoratev1connect.LicenseServiceClient, token []byte) (*quoratev1.Handle, error) {
	answer, err := api.Renew(ctx, connect.NewRequest(&quoratev1.RenewRequest{Token: token}))
	if err != nil {
		return nil, err
	}
	return answer.Msg.GetHandle(), nil
}

func openKey(ctx context.Context, api quoratev1connect.LicenseServiceClient, token, wrapped []byte) (string, error) {
	answer, err := api.OpenKey(ctx, connect.NewRequest(&quoratev1.OpenKeyRequest{Token: token, WrappedKey: wrapped}))
	if err != nil {
		return "", err
	}
	return string(answer.Msg.GetKey()), nil
}

func release(ctx context.Context, api quoratev1connect.LicenseServiceClient, token []byte) error {
	_, err := api.Release(ctx, connect.NewRequest(&quoratev1.ReleaseRequest{Token: token}))
	return err
}

func wantCode(t testing.TB, what string, err error, code license.Code) {
	t.Helper()
	if license.CodeOf(err) != code {
		t.Errorf("%s: %v (code %q), want %q", what, err, license.CodeOf(err), code)
	}
}

func TestHandleFromAccessToRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 20)
		l.start(t, "a", nil)
		api := l.api(t, "a")
		h := take(t, api, access(1))
		if h.GetId() != "request-0001" || h.GetSeat() != 1 || h.GetLeaseMs() != 30_000 || h.GetFeatureMap() != 0b1011 ||
			h.GetContainer() != servertest.Virtual().String() || h.GetMode() != quoratev1.AccessMode_ACCESS_MODE_USER_LIMIT {
			t.Errorf("handle %v", h)
		}
		if again := take(t, api, access(1)); again.GetSeat() != 1 || again.GetId() != h.GetId() {
			t.Errorf("a repeat gave %v", again)
		}
		if second := take(t, api, access(2)); second.GetSeat() == h.GetSeat() {
			t.Error("a second request got the same seat")
		}
		for range 5 {
			time.Sleep(29 * time.Second)
			n, err := renew(t.Context(), api, h.GetToken())
			if err != nil {
				t.Fatal(err)
			}
			if n.GetSeat() != h.GetSeat() || string(n.GetToken()) == string(h.GetToken()) {
				t.Errorf("renewal gave seat %d, a new token %v", n.GetSeat(), string(n.GetToken()) != string(h.GetToken()))
			}
			h = n
		}
		key, err := openKey(t.Context(), api, h.GetToken(), servertest.Wrap([]byte("secret")))
		if err != nil || key != "secret" {
			t.Errorf("key %q, %v", key, err)
		}
		for range 2 {
			if err := release(t.Context(), api, h.GetToken()); err != nil {
				t.Error(err)
			}
		}
		_, err = renew(t.Context(), api, h.GetToken())
		wantCode(t, "renewal after the release", err, license.CodeHandleUnknown)
		_, err = openKey(t.Context(), api, h.GetToken(), servertest.Wrap([]byte("secret")))
		wantCode(t, "key after the release", err, license.CodeHandleUnknown)
	})
}

func TestLateRenewalIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		l.start(t, "a", nil)
		api := l.api(t, "a")
		h := take(t, api, access(1))
		time.Sleep(30 * time.Second)
		_, err := renew(t.Context(), api, h.GetToken())
		wantCode(t, "late renewal", err, license.CodeHandleExpired)
		_, err = openKey(t.Context(), api, h.GetToken(), servertest.Wrap(nil))
		wantCode(t, "late key", err, license.CodeHandleExpired)
		_, err = api.Access(t.Context(), connect.NewRequest(access(1)))
		wantCode(t, "repeat of an ended request", err, license.CodeHandleExpired)
		take(t, api, access(2))
		_, err = renew(t.Context(), api, h.GetToken())
		wantCode(t, "late renewal of a seat given again", err, license.CodeHandleExpired)
	})
}

func TestSeatsRunOutWithoutACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 3)
		l.start(t, "a", nil)
		api := l.api(t, "a")
		take(t, api, access(1))
		time.Sleep(30*time.Second + 2*time.Millisecond)
		synctest.Wait()
		events, err := l.store.Events(t.Context(), servertest.Virtual(), 0, 10)
		if err != nil || len(events) != 2 || events[1].Kind != lease.Expired {
			t.Errorf("events %+v, %v", events, err)
		}
	})
}

func TestQuantityInForceCountsAtThatInstant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 20)
		l.start(t, "a", nil)
		api := l.api(t, "a")
		var last *quoratev1.Handle
		for i := range 20 {
			last = take(t, api, access(i))
		}
		_, err := api.Access(t.Context(), connect.NewRequest(access(20)))
		wantCode(t, "the 21st of 20", err, license.CodeNoFreeSeat)
		if err == nil || !strings.Contains(err.Error(), "20 of 20") || license.Public(err).Fix == "" {
			t.Errorf("the refusal says %v", err)
		}
		l.source.Change(func(o *license.Options) { o.Quantity = 30 })
		take(t, api, access(20))
		l.source.Change(func(o *license.Options) { o.Quantity = 10 })
		if _, err := renew(t.Context(), api, last.GetToken()); err != nil {
			t.Errorf("a lowered quantity threw somebody out: %v", err)
		}
		_, err = api.Access(t.Context(), connect.NewRequest(access(21)))
		wantCode(t, "a new one above the lowered quantity", err, license.CodeNoFreeSeat)
		answer, err := api.ListLicenses(t.Context(), connect.NewRequest(&quoratev1.ListLicensesRequest{}))
		if err != nil {
			t.Fatal(err)
		}
		if u := answer.Msg.GetLicenses()[0]; u.GetTotal() != 10 || u.GetFree() != 0 || u.GetTaken()["USER_LIMIT"] != 21 || !u.GetUsable() {
			t.Errorf("use %v", u)
		}
	})
}

func TestLicenseIsCheckedAtEachCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 2)
		l.start(t, "a", nil)
		api := l.api(t, "a")
		missing := access(1)
		missing.Features = 0b0100
		_, err := api.Access(t.Context(), connect.NewRequest(missing))
		wantCode(t, "a feature that is not there", err, license.CodeFeatureMissing)
		there := access(2)
		there.Features = 0b1010
		h := take(t, api, there)

		l.source.Refuse(license.Errorf(license.CodeNoMajority, "wait", "too few"))
		_, err = renew(t.Context(), api, h.GetToken())
		wantCode(t, "renewal without a majority", err, license.CodeNoMajority)
		_, err = openKey(t.Context(), api, h.GetToken(), servertest.Wrap(nil))
		wantCode(t, "key without a majority", err, license.CodeNoMajority)
		if err := release(t.Context(), api, h.GetToken()); err != nil {
			t.Errorf("release without a majority: %v", err)
		}
		l.source.Refuse(nil)
		l.source.Change(func(o *license.Options) { o.Expiration = time.Now().Add(time.Second) })
		h = take(t, api, access(3))
		time.Sleep(time.Second)
		_, err = api.Access(t.Context(), connect.NewRequest(access(4)))
		wantCode(t, "an expired license", err, license.CodeExpired)
		_, err = renew(t.Context(), api, h.GetToken())
		wantCode(t, "renewal under an expired license", err, license.CodeExpired)
	})
}

func TestConcurrentProgramsNeverExceedTheQuantity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 5)
		l.start(t, "a", nil)
		api := l.api(t, "a")
		var (
			mu   sync.Mutex
			held = map[uint32]string{}
			all  sync.WaitGroup
		)
		for i := range 32 {
			all.Go(func() {
				for round := range 20 {
					r := access(i*1000 + round)
					answer, err := api.Access(t.Context(), connect.NewRequest(r))
					if license.CodeOf(err) == license.CodeNoFreeSeat {
						continue
					}
					if err != nil {
						t.Error(err)
						return
					}
					h := answer.Msg.GetHandle()
					mu.Lock()
					if other, taken := held[h.GetSeat()]; taken || h.GetSeat() > 5 {
						t.Errorf("seat %d given to %s while %s has it", h.GetSeat(), h.GetId(), other)
					}
					held[h.GetSeat()] = h.GetId()
					mu.Unlock()
					time.Sleep(time.Millisecond)
					mu.Lock()
					delete(held, h.GetSeat())
					mu.Unlock()
					if err := release(t.Context(), api, h.GetToken()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
	})
}

// lowering is a store in which the quantity is lowered after the lookup, before
// the grant.
type lowering struct {
	lease.Store
	before func()
}

type loweringSeats struct {
	lease.Seats
	before func()
}

func (s lowering) Claim(ctx context.Context, group license.Serial, owner string) (lease.Seats, error) {
	seats, err := s.Store.Claim(ctx, group, owner)
	return loweringSeats{seats, s.before}, err
}

func (s loweringSeats) Access(ctx context.Context, r lease.Request) (lease.Grant, error) {
	s.before()
	return s.Seats.Access(ctx, r)
}

func TestQuantityLoweredBetweenLookupAndGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 3)
		lowered := false
		a := l.start(t, "a", func(c *licenseserver.Config) {
			c.Store = lowering{l.store, func() {
				if lowered {
					l.source.Change(func(o *license.Options) { o.Quantity = 2 })
				}
			}}
		})
		leads(t, a, true)
		api := l.api(t, "a")
		take(t, api, access(1))
		second := take(t, api, access(2))
		lowered = true
		_, err := api.Access(t.Context(), connect.NewRequest(access(3)))
		wantCode(t, "one more than the lowered quantity", err, license.CodeNoFreeSeat)
		if n, err := a.Handles(t.Context()); n != 2 || err != nil {
			t.Errorf("%d handles, %v", n, err)
		}
		take(t, api, access(2)) // a repeat throws nobody out
		if _, err := renew(t.Context(), api, second.GetToken()); err != nil {
			t.Error(err)
		}

		// Lowered, but there is room: the handle stays.
		lowered = false
		l.source.Change(func(o *license.Options) { o.Quantity = 4 })
		lowered = true
		if _, err := api.Release(t.Context(), connect.NewRequest(&quoratev1.ReleaseRequest{Token: second.GetToken()})); err != nil {
			t.Fatal(err)
		}
		take(t, api, access(4))
	})
}

// A store that lost everything takes handles in by their tokens, but not by
// those whose lifetime was over long ago.
func TestOldTokenBringsNothingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 2)
		l.start(t, "a", nil)
		old, young := take(t, l.api(t, "a"), access(1)), take(t, l.api(t, "a"), access(2))
		time.Sleep(25 * time.Second)
		young, err := renew(t.Context(), l.api(t, "a"), young.GetToken())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		if young, err = renew(t.Context(), l.api(t, "a"), young.GetToken()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		empty, err := memlease.Open("", memlease.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer empty.Close()
		b := l.start(t, "b", func(c *licenseserver.Config) { c.Store = empty })
		defer b.Stop()
		if _, err := renew(t.Context(), l.api(t, "b"), young.GetToken()); err != nil {
			t.Errorf("a handle in its time: %v", err)
		}
		_, err = renew(t.Context(), l.api(t, "b"), old.GetToken())
		wantCode(t, "a handle of a minute ago", err, license.CodeHandleUnknown)
	})
}

// A call ends, even if its store hangs and its caller sets no bound.
func TestHangingStoreCollectsNoCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		a := l.start(t, "a", func(c *licenseserver.Config) { c.Store = hanging{l.store} })
		leads(t, a, true)
		began := time.Now()
		_, err := l.api(t, "a").Access(t.Context(), connect.NewRequest(access(1)))
		wantCode(t, "a store that hangs", err, license.CodeUnavailable)
		if took := time.Since(began); took > 11*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

// hanging is a store whose grants hang.
type hanging struct{ lease.Store }

type hangingSeats struct{ lease.Seats }

func (s hanging) Claim(ctx context.Context, group license.Serial, owner string) (lease.Seats, error) {
	seats, err := s.Store.Claim(ctx, group, owner)
	return hangingSeats{seats}, err
}

func (hangingSeats) Access(ctx context.Context, _ lease.Request) (lease.Grant, error) {
	<-ctx.Done()
	return lease.Grant{}, lease.Unavailable(ctx.Err())
}
