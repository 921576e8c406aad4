package backend_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
	"github.com/quorate/quorate/internal/seal"
)

func coded(t *testing.T, what string, err error, want license.Code) {
	t.Helper()
	if license.CodeOf(err) != want {
		t.Errorf("%s: %v instead of %q", what, err, want)
	}
}

// calls gives the three calls for programs, and what they answer.
func calls(t *testing.T, c quoratev1connect.BackendServiceClient, p license.Product, name []byte, token []byte) map[string]func() (string, error) {
	product := rpc.ProductProto(p)
	return map[string]func() (string, error){
		"OpenKey": func() (string, error) {
			res, err := c.BackendOpenKey(t.Context(), connect.NewRequest(&quoratev1.BackendOpenKeyRequest{Product: product, WrappedKey: []byte("w"), Token: token}))
			if err != nil {
				return "", err
			}
			return string(res.Msg.GetKey()), nil
		},
		"ProtectedData": func() (string, error) {
			res, err := c.BackendReadData(t.Context(), connect.NewRequest(&quoratev1.BackendReadDataRequest{Product: product, Name: name, Token: token}))
			if err != nil {
				return "", err
			}
			return string(res.Msg.GetData()), nil
		},
		"UseSecret": func() (string, error) {
			res, err := c.BackendUseSecret(t.Context(), connect.NewRequest(&quoratev1.BackendUseSecretRequest{Product: product, Name: name, Context: []byte("c"), Token: token}))
			if err != nil {
				return "", err
			}
			return string(res.Msg.GetKey()), nil
		},
	}
}

func token(t *testing.T, s seal.Signer, container license.Serial, p license.Product) []byte {
	t.Helper()
	b, err := seal.SignToken(s, seal.Token{
		Container: container, Product: p, Handle: "h", Mode: license.UserLimit, Seat: 1, Epoch: 1, N: 1,
		Lease: time.Minute, IssuedAt: time.Now(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What a program asks for goes through the same checks, whatever it is.
func TestCallsForPrograms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, signer, other := newLab(t), newSigner(t), newSigner(t)
		name := license.DataName{7}
		l.container.SetData(name, []byte("the data"))
		c := l.client(t, l.tmr)
		all := func(c quoratev1connect.BackendServiceClient, token []byte, what string, want license.Code) {
			t.Helper()
			for call, f := range calls(t, c, product, name[:], token) {
				before := l.container.Calls(call)
				_, err := f()
				coded(t, call+" "+what, err, want)
				if reached := l.container.Calls(call) != before; reached != (want == "") {
					t.Errorf("%s %s: the container was asked: %v", call, what, reached)
				}
			}
		}
		good := token(t, signer, virtual, product)
		all(l.client(t, newKey(t)), good, "of a stranger", license.CodeTMROnly)
		all(c, good, "without a group", license.CodeTokenInvalid)
		l.container.SetGroup(seal.Group{Virtual: virtual, TokenKey: signer.Public()})
		all(c, good, "without a license", license.CodeNoLicense)
		l.container.Set(held(20, 7))
		all(c, good, "in order", "")
		all(c, token(t, other, virtual, product), "with a forged token", license.CodeTokenInvalid)
		all(c, token(t, signer, serial, product), "with another container's token", license.CodeTokenInvalid)
		all(c, token(t, signer, virtual, license.Product{Firm: 1, Code: 1}), "with another product's token", license.CodeTokenInvalid)
		for call, f := range calls(t, c, product, name[:], good) {
			want := map[string]string{
				"OpenKey": "opened by 130-1874829", "ProtectedData": "the data", "UseSecret": ("the data of c" + strings.Repeat(".", 32))[:32],
			}[call]
			if got, err := f(); err != nil || got != want {
				t.Errorf("%s gave %q, %v", call, got, err)
			}
		}
		for _, bad := range [][]byte{nil, make([]byte, 16), {1}, make([]byte, 17)} {
			for call, f := range calls(t, c, product, bad, good) {
				if _, err := f(); call != "OpenKey" {
					coded(t, call+" of a bad name", err, license.CodeInvalidInput)
				}
			}
		}
		for call, f := range calls(t, c, product, []byte("0123456789abcdef"), good) {
			if _, err := f(); call != "OpenKey" {
				coded(t, call+" of an unknown name", err, license.CodeNotFound)
			}
		}
		for _, n := range []int{0, 4097} {
			_, err := c.BackendUseSecret(t.Context(), connect.NewRequest(&quoratev1.BackendUseSecretRequest{
				Product: rpc.ProductProto(product), Name: name[:], Context: make([]byte, n), Token: good,
			}))
			coded(t, "a context out of bounds", err, license.CodeInvalidInput)
		}
	})
}

// The container's clock decides, not the machine's.
func TestUsableByTheContainersClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, signer := newLab(t), newSigner(t)
		l.container.SetGroup(seal.Group{Virtual: virtual, TokenKey: signer.Public()})
		c := l.client(t, l.tmr)
		open := func(what string, want license.Code) {
			t.Helper()
			_, err := calls(t, c, product, nil, token(t, signer, virtual, product))["OpenKey"]()
			coded(t, what, err, want)
		}
		limited, unlimited := held(20, 7), held(20, 7)
		limited.Options.Activation = time.Now().Truncate(time.Second).Add(time.Hour)
		limited.Options.Expiration = time.Now().Truncate(time.Second).Add(3 * time.Hour)
		limited.Options.Units = new(uint64(0))
		for _, step := range []struct {
			what    string
			held    license.Held
			skew    time.Duration
			setBack bool
			want    license.Code
		}{
			{"not yet", limited, 0, false, license.CodeNotYetValid},
			{"by its clock, with no units left", limited, 2 * time.Hour, false, ""},
			{"set back", limited, 2 * time.Hour, true, license.CodeClockSetBack},
			{"expired", limited, 3 * time.Hour, false, license.CodeExpired},
			{"not limited in time, set back", unlimited, 0, true, ""},
		} {
			l.container.Set(step.held)
			l.container.SetClock(step.skew, step.setBack)
			open(step.what, step.want)
		}
	})
}

func TestMeters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		c := l.client(t, l.tmr)
		promise := func(epoch uint64, issue uint32) (*quoratev1.Meter, error) {
			res, err := c.PromiseMeters(t.Context(), connect.NewRequest(&quoratev1.PromiseMetersRequest{
				Epoch: epoch, Product: rpc.ProductProto(product), Issue: issue,
			}))
			if err != nil {
				return nil, err
			}
			return res.Msg.GetMeter(), nil
		}
		write := func(epoch uint64, m license.Meter) error {
			_, err := c.WriteMeter(t.Context(), connect.NewRequest(&quoratev1.WriteMeterRequest{Epoch: epoch, Meter: rpc.MeterProto(m)}))
			return err
		}
		if m, err := promise(3, 1); m != nil || err != nil {
			t.Errorf("an empty one: %v, %v", m, err)
		}
		one := license.Meter{Product: product, Issue: 1, Epoch: 3, Units: 5, Recent: []license.Taken{{Request: "request-1", Units: 5}}}
		two := license.Meter{Product: product, Issue: 2, Epoch: 3, Units: 1}
		for _, m := range []license.Meter{one, two} {
			if err := write(3, m); err != nil {
				t.Error(err)
			}
		}
		m, err := promise(4, 1)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := rpc.MeterFrom(m); err != nil || got.Epoch != 3 || got.Units != 5 || got.Issue != 1 || len(got.Recent) != 1 || got.Recent[0] != one.Recent[0] {
			t.Errorf("got %+v, %v", got, err)
		}
		coded(t, "a write under an older epoch", write(3, one), license.CodeFenced)
		_, err = promise(3, 1)
		coded(t, "a promise of an older epoch", err, license.CodeFenced)
		for _, epoch := range []uint64{0, 1<<64 - 1} {
			_, err = promise(epoch, 1)
			coded(t, "no epoch", err, license.CodeInvalidInput)
			bad := one
			bad.Epoch = epoch
			coded(t, "no epoch", write(epoch, bad), license.CodeInvalidInput)
		}
		coded(t, "two epochs", write(4, one), license.CodeInvalidInput)
		_, err = c.PromiseMeters(t.Context(), connect.NewRequest(&quoratev1.PromiseMetersRequest{Epoch: 5}))
		coded(t, "no product", err, license.CodeInvalidInput)
		_, err = c.WriteMeter(t.Context(), connect.NewRequest(&quoratev1.WriteMeterRequest{Epoch: 5}))
		coded(t, "no meter", err, license.CodeInvalidInput)
	})
}

func TestTheClockIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		c := l.client(t, l.tmr)
		l.container.SetClock(-time.Hour, false)
		stream, err := c.Watch(t.Context(), connect.NewRequest(&quoratev1.WatchRequest{BeatMs: 100}))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = stream.Close() }()
		tells := func(what string, skew time.Duration, setBack bool) {
			t.Helper()
			m, nonce, err := rpc.MomentFrom(receive(t, stream).GetMoment())
			if err != nil {
				t.Fatal(err)
			}
			if off := time.Until(m.At) - skew; off > 0 || off < -time.Millisecond || m.SetBack != setBack || nonce != l.container.TimeNonce() {
				t.Errorf("%s: %v off, %+v", what, time.Until(m.At), m)
			}
		}
		tells("the state", -time.Hour, false)
		tells("a beat", -time.Hour, false)
		l.container.SetClock(time.Hour, true)
		tells("set back", time.Hour, true)
		certificate := l.container.Certificate(time.Now())
		if _, err := c.CertifyTime(t.Context(), connect.NewRequest(&quoratev1.CertifyTimeRequest{Certificate: certificate})); err != nil {
			t.Fatal(err)
		}
		tells("certified", 0, false)
		_, err = c.CertifyTime(t.Context(), connect.NewRequest(&quoratev1.CertifyTimeRequest{Certificate: certificate}))
		coded(t, "the container's refusal", err, license.CodeTimeStale)
		// A beat comes in time although the clock doesn't.
		gate := make(chan struct{})
		l.container.Fault(func(call string, _ bool) error {
			if call == "TimeNonce" {
				<-gate
			}
			return nil
		})
		began := time.Now()
		for range 3 {
			if m := receive(t, stream); m.GetMoment() != nil {
				t.Errorf("a clock that nobody can read: %v", m)
			}
		}
		if took := time.Since(began); took > 400*time.Millisecond {
			t.Errorf("three beats took %v", took)
		}
		l.container.Fault(nil)
		close(gate)
		receive(t, stream)
		tells("after", 0, false)
	})
}
