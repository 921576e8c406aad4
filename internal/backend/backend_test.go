package backend_test

import (
	"context"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/backend"
	"github.com/quorate/quorate/internal/backend/backendtest"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/memnet"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
	"github.com/quorate/quorate/internal/seal"
)

var (
	serial     = license.Serial{Mask: 130, Number: 1874829}
	virtual    = license.Serial{Mask: 131, Number: 4837572}
	activation = [16]byte{1, 2, 3}
	product    = license.Product{Firm: 6000010, Code: 14}
	nonce      = []byte("0123456789abcdef")
)

func held(quantity, id uint32) license.Held {
	return license.Held{License: license.License{
		Product: product, Name: "Chart Processing", Options: license.Options{Quantity: quantity, TMRID: id},
	}}
}

type lab struct {
	container *backendtest.Container
	tmr       *rpc.Key
	server    *rpc.Key
	network   memnet.Network
	stop      func()
}

// newLab serves a backend that also lets strangers through TLS, so that the
// handler's own check is what refuses them.
func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{container: backendtest.New(serial, activation), tmr: newKey(t), server: newKey(t)}
	b, err := backend.New(backend.Config{Container: l.container, Pins: []string{newKey(t).Pin(), l.tmr.Pin()}})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(b.Handler())
	server := rpc.NewServer(mux, slog.New(slog.DiscardHandler))
	server.TLSConfig = rpc.ServerTLS(l.server, nil)
	ln, err := l.network.Listen("backend:443")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- rpc.Serve(ctx, server, ln) }()
	l.stop = func() {
		if ctx.Err() == nil {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(l.stop)
	return l
}

func (l *lab) client(t *testing.T, k *rpc.Key) quoratev1connect.BackendServiceClient {
	client := rpc.NewClient(rpc.ClientConfig{TLS: rpc.ClientTLS(k, []string{l.server.Pin()}), Dial: l.network.Dial})
	t.Cleanup(client.Close)
	return quoratev1connect.NewBackendServiceClient(client, "https://backend:443", rpc.ClientOptions())
}

func newKey(t *testing.T) *rpc.Key {
	t.Helper()
	k, err := rpc.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestNewRefusesWithoutPins(t *testing.T) {
	for _, pins := range [][]string{nil, {"sha256:x"}} {
		if _, err := backend.New(backend.Config{Pins: pins}); license.CodeOf(err) != license.CodeInvalidInput {
			t.Errorf("%v: %v", pins, err)
		}
	}
}

func TestStrangersAreRefusedEverywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.container.Set(held(20, 7))
		for name, k := range map[string]*rpc.Key{"another key": newKey(t), "no key": nil} {
			c, ctx := l.client(t, k), t.Context()
			_, fingerprint := c.Fingerprint(ctx, connect.NewRequest(&quoratev1.FingerprintRequest{Nonce: nonce}))
			_, stage := c.Stage(ctx, connect.NewRequest(&quoratev1.StageRequest{}))
			_, statement := c.Statement(ctx, connect.NewRequest(&quoratev1.StatementRequest{Nonce: nonce}))
			_, activate := c.Activate(ctx, connect.NewRequest(&quoratev1.ActivateRequest{Digest: make([]byte, 32)}))
			_, receipts := c.Receipts(ctx, connect.NewRequest(&quoratev1.ReceiptsRequest{}))
			_, promise := c.PromiseMeters(ctx, connect.NewRequest(&quoratev1.PromiseMetersRequest{Epoch: 1, Product: rpc.ProductProto(product)}))
			_, write := c.WriteMeter(ctx, connect.NewRequest(&quoratev1.WriteMeterRequest{
				Epoch: 1, Meter: rpc.MeterProto(license.Meter{Product: product, Epoch: 1}),
			}))
			_, certify := c.CertifyTime(ctx, connect.NewRequest(&quoratev1.CertifyTimeRequest{Certificate: l.container.Certificate(time.Now())}))
			stream, watch := c.Watch(ctx, connect.NewRequest(&quoratev1.WatchRequest{}))
			if watch == nil {
				if stream.Receive() {
					t.Errorf("%s: watching works", name)
				}
				watch = rpc.FromError(stream.Err())
				_ = stream.Close()
			}
			for call, err := range map[string]error{
				"Fingerprint": fingerprint, "Stage": stage, "Statement": statement, "Activate": activate, "Watch": watch, "Receipts": receipts,
				"PromiseMeters": promise, "WriteMeter": write, "CertifyTime": certify,
			} {
				if license.CodeOf(err) != license.CodeForbidden {
					t.Errorf("%s with %s: %v", call, name, err)
				}
			}
			_, open := c.BackendOpenKey(ctx, connect.NewRequest(&quoratev1.BackendOpenKeyRequest{Product: rpc.ProductProto(product)}))
			if license.CodeOf(open) != license.CodeTMROnly {
				t.Errorf("opening a key with %s: %v", name, open)
			}
		}
		for _, call := range []string{"Fingerprint", "Stage", "Statement", "Activate", "OpenKey", "PromiseMeters", "WriteMeter", "Certify"} {
			if n := l.container.Calls(call); n != 0 {
				t.Errorf("the container's %s was called %d times", call, n)
			}
		}
	})
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.container.Set(held(20, 7))
		began := time.Now()
		stream, err := l.client(t, l.tmr).Watch(t.Context(), connect.NewRequest(&quoratev1.WatchRequest{BeatMs: 100, Server: "a"}))
		if err != nil {
			t.Fatal(err)
		}
		state := receive(t, stream).GetState()
		if time.Since(began) != 0 || state.GetSerial() != serial.String() || [16]byte(state.GetActivationId()) != activation ||
			state.GetLicenses()[0].GetOptions().GetTmrId() != 7 {
			t.Errorf("first, after %v: %v", time.Since(began), state)
		}
		for i := range 3 {
			if m := receive(t, stream); m.GetState() != nil || time.Since(began) != time.Duration(i+1)*100*time.Millisecond {
				t.Errorf("beat %d after %v: %v", i, time.Since(began), m)
			}
		}
		l.container.Set(held(30, 8))
		if m := receive(t, stream).GetState(); m.GetLicenses()[0].GetOptions().GetTmrId() != 8 ||
			m.GetVersion() <= state.GetVersion() || time.Since(began) != 300*time.Millisecond {
			t.Errorf("a change after %v: %v", time.Since(began), m)
		}
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			l.stop()
		}()
		for stream.Receive() {
		}
		if err := rpc.FromError(stream.Err()); license.CodeOf(err) != license.CodeUnavailable {
			t.Errorf("the shutdown gave %v", err)
		}
		_ = stream.Close()
		<-stopped
	})
}

func TestBeatIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		for ms, want := range map[uint32]time.Duration{
			0: 100 * time.Millisecond, 1: 20 * time.Millisecond, 1 << 30: 10 * time.Second,
		} {
			stream, err := l.client(t, l.tmr).Watch(t.Context(), connect.NewRequest(&quoratev1.WatchRequest{BeatMs: ms}))
			if err != nil {
				t.Fatal(err)
			}
			receive(t, stream)
			began := time.Now()
			receive(t, stream)
			if got := time.Since(began); got != want {
				t.Errorf("%d ms gave a beat of %v", ms, got)
			}
			_ = stream.Close()
		}
	})
}

func TestWatchersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		c := l.client(t, l.tmr)
		for i := range 65 {
			stream, err := c.Watch(ctx, connect.NewRequest(&quoratev1.WatchRequest{}))
			if err != nil {
				t.Fatal(err)
			}
			if got := stream.Receive(); got != (i < 64) {
				t.Fatalf("watcher %d: %v, %v", i, got, stream.Err())
			}
			if i == 64 && license.CodeOf(rpc.FromError(stream.Err())) != license.CodeThrottled {
				t.Errorf("one too many: %v", stream.Err())
			}
		}
		cancel()
		synctest.Wait()
		stream, err := c.Watch(t.Context(), connect.NewRequest(&quoratev1.WatchRequest{}))
		if err != nil {
			t.Fatal(err)
		}
		receive(t, stream)
		_ = stream.Close()
	})
}

func receive(t *testing.T, s *connect.ServerStreamForClient[quoratev1.WatchResponse]) *quoratev1.WatchResponse {
	t.Helper()
	if !s.Receive() {
		t.Fatal(s.Err())
	}
	return s.Msg()
}

func TestInstalling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		c, ctx := l.client(t, l.tmr), t.Context()
		f, err := c.Fingerprint(ctx, connect.NewRequest(&quoratev1.FingerprintRequest{Nonce: nonce}))
		if err != nil || string(f.Msg.GetFingerprint()) != "fingerprint 130-1874829 0123456789abcdef" {
			t.Errorf("fingerprint %q, %v", f.Msg.GetFingerprint(), err)
		}
		update := backendtest.Update(held(30, 8))
		staged, err := c.Stage(ctx, connect.NewRequest(&quoratev1.StageRequest{Update: update}))
		if err != nil || [32]byte(staged.Msg.GetDigest()) != seal.Digest(update) || staged.Msg.GetInstalled() || len(staged.Msg.GetNonce()) == 0 {
			t.Fatalf("staged %v, %v", staged, err)
		}
		s, err := c.Statement(ctx, connect.NewRequest(&quoratev1.StatementRequest{Nonce: nonce}))
		if err != nil || string(s.Msg.GetStatement()) != "statement 130-1874829 0123456789abcdef" {
			t.Errorf("statement %q, %v", s.Msg.GetStatement(), err)
		}
		activate := &quoratev1.ActivateRequest{Digest: staged.Msg.GetDigest(), Statements: [][]byte{{1}, {2}}}
		for range 2 {
			a, err := c.Activate(ctx, connect.NewRequest(activate))
			if err != nil || string(a.Msg.GetReceipt()) != "receipt 130-1874829" {
				t.Errorf("activated: %v, %v", a, err)
			}
		}
		again, err := c.Stage(ctx, connect.NewRequest(&quoratev1.StageRequest{Update: update}))
		if err != nil || !again.Msg.GetInstalled() || string(again.Msg.GetReceipt()) != "receipt 130-1874829" {
			t.Errorf("staged again: %v, %v", again, err)
		}
		if _, err := c.Stage(ctx, connect.NewRequest(&quoratev1.StageRequest{Update: []byte("{")})); license.CodeOf(err) != license.CodeUpdateTampered {
			t.Errorf("the container's refusal came as %v", err)
		}
		for name, call := range map[string]func() error{
			"short nonce": func() error {
				_, err := c.Fingerprint(ctx, connect.NewRequest(&quoratev1.FingerprintRequest{Nonce: nonce[1:]}))
				return err
			},
			"long nonce": func() error {
				_, err := c.Statement(ctx, connect.NewRequest(&quoratev1.StatementRequest{Nonce: make([]byte, 65)}))
				return err
			},
			"short digest": func() error {
				_, err := c.Activate(ctx, connect.NewRequest(&quoratev1.ActivateRequest{Digest: make([]byte, 31)}))
				return err
			},
			"many statements": func() error {
				_, err := c.Activate(ctx, connect.NewRequest(&quoratev1.ActivateRequest{Digest: make([]byte, 32), Statements: make([][]byte, 4)}))
				return err
			},
		} {
			if err := call(); license.CodeOf(err) != license.CodeInvalidInput {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestOpenKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		c := l.client(t, l.tmr)
		signer, other := newSigner(t), newSigner(t)
		sign := func(s seal.Signer, container license.Serial, p license.Product) []byte {
			b, err := seal.SignToken(s, seal.Token{
				Container: container, Product: p, Handle: "h", Mode: license.UserLimit, Seat: 1, Epoch: 1, N: 1,
				Lease: time.Minute, IssuedAt: time.Now(),
			})
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		open := func(p license.Product, token []byte) (string, error) {
			res, err := c.BackendOpenKey(t.Context(), connect.NewRequest(&quoratev1.BackendOpenKeyRequest{
				Product: rpc.ProductProto(p), WrappedKey: []byte("w"), Token: token,
			}))
			if err != nil {
				return "", err
			}
			return string(res.Msg.GetKey()), nil
		}
		good := sign(signer, virtual, product)
		if _, err := open(product, good); license.CodeOf(err) != license.CodeTokenInvalid {
			t.Errorf("without a group: %v", err)
		}
		l.container.SetGroup(seal.Group{Virtual: virtual, TokenKey: signer.Public()})
		if _, err := open(product, good); license.CodeOf(err) != license.CodeNoLicense {
			t.Errorf("without a license: %v", err)
		}
		l.container.Set(held(20, 0))
		if _, err := open(product, good); license.CodeOf(err) != license.CodeNoLicense {
			t.Errorf("with a license that isn't TMR: %v", err)
		}
		l.container.Set(held(20, 7))
		if key, err := open(product, good); key != "opened by 130-1874829" || err != nil {
			t.Errorf("got %q, %v", key, err)
		}
		another := license.Product{Firm: 6000010, Code: 15}
		for name, refused := range map[string]struct {
			p     license.Product
			token []byte
		}{
			"foreign signature":  {product, sign(other, virtual, product)},
			"another container":  {product, sign(signer, serial, product)},
			"another product":    {product, sign(signer, virtual, another)},
			"token for another":  {another, good},
			"no token":           {product, nil},
			"a damaged one":      {product, append([]byte{good[0] ^ 1}, good[1:]...)},
			"another's wrapping": {product, good[:len(good)-1]},
		} {
			_, err := open(refused.p, refused.token)
			if code := license.CodeOf(err); code != license.CodeTokenInvalid && code != license.CodeFormatUnknown {
				t.Errorf("%s: %v", name, err)
			}
		}
		expired := held(20, 8)
		expired.Options.Expiration = time.Now()
		l.container.Set(expired)
		if _, err := open(product, good); license.CodeOf(err) != license.CodeExpired {
			t.Errorf("expired: %v", err)
		}
		expired.Predecessor = &license.Options{Quantity: 20, TMRID: 7}
		l.container.Set(expired)
		if _, err := open(product, good); err != nil {
			t.Errorf("the predecessor may be in force still: %v", err)
		}
	})
}

func newSigner(t *testing.T) seal.Signer {
	t.Helper()
	seed, err := seal.NewSeed()
	if err != nil {
		t.Fatal(err)
	}
	return seal.NewSigner(seed)
}
