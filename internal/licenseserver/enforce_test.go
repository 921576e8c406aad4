package licenseserver_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/licenseserver"
	"github.com/quorate/quorate/internal/licenseserver/servertest"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
)

type api = quoratev1connect.LicenseServiceClient

func consume(ctx context.Context, a api, token []byte, id string, n uint64) (uint64, error) {
	answer, err := a.ConsumeUnits(ctx, connect.NewRequest(&quoratev1.ConsumeUnitsRequest{Token: token, RequestId: id, Units: n}))
	if err != nil {
		return 0, err
	}
	return answer.Msg.GetUnitsLeft(), nil
}

func readData(ctx context.Context, a api, token []byte) ([]byte, error) {
	answer, err := a.ReadData(ctx, connect.NewRequest(&quoratev1.ReadDataRequest{Token: token}))
	if err != nil {
		return nil, err
	}
	return answer.Msg.GetData(), nil
}

func derive(ctx context.Context, a api, token, use []byte) ([]byte, error) {
	answer, err := a.UseSecret(ctx, connect.NewRequest(&quoratev1.UseSecretRequest{Token: token, Context: use}))
	if err != nil {
		return nil, err
	}
	return answer.Msg.GetKey(), nil
}

func explain(t testing.TB, a api, r *quoratev1.ExplainRequest) *quoratev1.ExplainResponse {
	t.Helper()
	answer, err := a.Explain(t.Context(), connect.NewRequest(r))
	if err != nil {
		t.Fatal(err)
	}
	return answer.Msg
}

// question asks as access does.
func question() *quoratev1.ExplainRequest {
	r := access(0)
	return &quoratev1.ExplainRequest{Product: r.GetProduct(), Client: r.GetClient()}
}

func reasons(m *quoratev1.ExplainResponse) (all []license.Code) {
	for _, r := range m.GetReasons() {
		all = append(all, license.Code(r.GetCode()))
	}
	return all
}

func list(t testing.TB, a api) *quoratev1.LicenseUse {
	t.Helper()
	answer, err := a.ListLicenses(t.Context(), connect.NewRequest(&quoratev1.ListLicensesRequest{}))
	if err != nil {
		t.Fatal(err)
	}
	return answer.Msg.GetLicenses()[0]
}

func refused(t testing.TB, what string, a api, r *quoratev1.AccessRequest, want license.Code) {
	t.Helper()
	_, err := a.Access(t.Context(), connect.NewRequest(r))
	wantCode(t, what, err, want)
}

func TestNewRequestsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		l.start(t, "a", nil)
		a, ctx := l.api(t, "a"), t.Context()
		l.source.Change(func(o *license.Options) {
			o.Units, o.Protected, o.Secret = new(uint64(9)), license.DataName{1}, license.DataName{2}
		})
		for name, change := range map[string]func(*quoratev1.AccessRequest){
			"a release date before 1970": func(r *quoratev1.AccessRequest) { r.ReleaseDateUnix = -1 },
			"a release date after 9999":  func(r *quoratev1.AccessRequest) { r.ReleaseDateUnix = 253402300800 },
			"a version that is none":     func(r *quoratev1.AccessRequest) { r.Version = "1.x" },
			"a long version":             func(r *quoratev1.AccessRequest) { r.Version = strings.Repeat("1", 65) },
		} {
			r := access(1)
			change(r)
			refused(t, name, a, r, license.CodeInvalidInput)
			_, err := a.Explain(ctx, connect.NewRequest(&quoratev1.ExplainRequest{
				Product: r.GetProduct(), Client: r.GetClient(), ReleaseDateUnix: r.GetReleaseDateUnix(), Version: r.GetVersion(),
			}))
			wantCode(t, name+" explained", err, license.CodeInvalidInput)
		}
		for name, change := range map[string]func(*quoratev1.ExplainRequest){
			"no product":   func(r *quoratev1.ExplainRequest) { r.Product = nil },
			"unknown mode": func(r *quoratev1.ExplainRequest) { r.Mode = 77 },
			"long user":    func(r *quoratev1.ExplainRequest) { r.Client.User = strings.Repeat("u", 256) },
		} {
			r := question()
			change(r)
			_, err := a.Explain(ctx, connect.NewRequest(r))
			wantCode(t, name, err, license.CodeInvalidInput)
		}
		h := take(t, a, access(1))
		for name, tt := range map[string]struct {
			token []byte
			id    string
			n     uint64
		}{
			"no token": {nil, "request-u", 1}, "long token": {make([]byte, 8<<10+1), "request-u", 1},
			"no id": {h.GetToken(), "", 1}, "long id": {h.GetToken(), strings.Repeat("1", 65), 1}, "odd id": {h.GetToken(), "1234 5678", 1},
			"no units": {h.GetToken(), "request-u", 0}, "too many units": {h.GetToken(), "request-u", license.MostUnits + 1},
		} {
			_, err := consume(ctx, a, tt.token, tt.id, tt.n)
			wantCode(t, name, err, license.CodeInvalidInput)
		}
		for name, use := range map[string][]byte{"no context": nil, "a long context": make([]byte, 4<<10+1)} {
			_, err := derive(ctx, a, h.GetToken(), use)
			wantCode(t, name, err, license.CodeInvalidInput)
		}
		if _, err := derive(ctx, a, h.GetToken(), make([]byte, 4<<10)); err != nil {
			t.Errorf("the longest context: %v", err)
		}
		_, err := derive(ctx, a, nil, []byte("x"))
		wantCode(t, "a secret without a token", err, license.CodeInvalidInput)
		_, err = readData(ctx, a, nil)
		wantCode(t, "data without a token", err, license.CodeInvalidInput)
		if u := l.source.Used(); u.Units != 0 {
			t.Errorf("refused requests took %d units", u.Units)
		}
	})
}

// A handle that has ended takes no units and reads nothing.
func TestOnlyALivingHandleUses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		l.start(t, "a", nil)
		a, ctx := l.api(t, "a"), t.Context()
		l.source.Change(func(o *license.Options) {
			o.Units, o.Protected, o.Secret = new(uint64(9)), license.DataName{1}, license.DataName{2}
		})
		h := take(t, a, access(1))
		if left, err := consume(ctx, a, h.GetToken(), "request-u", 2); left != 7 || err != nil {
			t.Errorf("%d left, %v", left, err)
		}
		if data, err := readData(ctx, a, h.GetToken()); !bytes.Equal(data, append([]byte{1}, make([]byte, 15)...)) || err != nil {
			t.Errorf("data %x, %v", data, err)
		}
		key, err := derive(ctx, a, h.GetToken(), []byte("x"))
		if !bytes.Equal(key, servertest.Derived(license.DataName{2}, []byte("x"))) || err != nil {
			t.Errorf("key %x, %v", key, err)
		}
		if err := release(ctx, a, h.GetToken()); err != nil {
			t.Fatal(err)
		}
		_, err = consume(ctx, a, h.GetToken(), "request-v", 1)
		wantCode(t, "units", err, license.CodeHandleUnknown)
		_, err = readData(ctx, a, h.GetToken())
		wantCode(t, "data", err, license.CodeHandleUnknown)
		_, err = derive(ctx, a, h.GetToken(), []byte("x"))
		wantCode(t, "a secret", err, license.CodeHandleUnknown)
		if u := l.source.Used(); u.Units != 2 {
			t.Errorf("%d units taken", u.Units)
		}
	})
}

// The first use is noted before its program has the handle. Where it can't be,
// no handle is given; a repeat finds the one of a fault that has passed.
func TestFirstUseIsNotedBeforeTheHandleIsGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		s := l.start(t, "a", nil)
		a := l.api(t, "a")
		began := time.Now()
		l.source.Change(func(o *license.Options) { o.TMRID, o.UsagePeriod = 0, time.Hour })
		l.source.Break(license.Errorf(license.CodeContainerCorrupt, "x", "broken"))
		refused(t, "the use can't be read", a, access(1), license.CodeContainerCorrupt)
		if u := l.source.Used(); !u.First.IsZero() {
			t.Errorf("%+v", u)
		}
		l.source.Break(nil)
		l.source.BreakBegin(license.Errorf(license.CodeContainerCorrupt, "x", "broken"))
		refused(t, "the use can't be noted", a, access(1), license.CodeContainerCorrupt)
		if n, err := s.Handles(t.Context()); n != 0 || err != nil {
			t.Errorf("%d handles, %v", n, err)
		}
		l.source.BreakBegin(license.Errorf(license.CodeUnavailable, "x", "busy"))
		refused(t, "the use can't be noted now", a, access(2), license.CodeUnavailable)
		l.source.BreakBegin(nil)
		time.Sleep(time.Second)
		h := take(t, a, access(2))
		if first := l.source.Used().First; !first.Equal(began.Add(time.Second)) || h.GetUntilUnix() != first.Add(time.Hour).Unix() {
			t.Errorf("first used at %s, the handle says until %d", first, h.GetUntilUnix())
		}
		time.Sleep(time.Second)
		if h, err := renew(t.Context(), a, h.GetToken()); err != nil || h.GetUntilUnix() != began.Add(time.Hour+time.Second).Unix() {
			t.Errorf("%v, %v", h, err)
		}
	})
}

// Local programs are those on the server's machine that no proxy speaks for.
func TestLocalPrograms(t *testing.T) {
	for name, tt := range map[string]struct {
		from   string
		local  bool
		header string
		want   license.Code
	}{
		"loopback":                      {"127.0.0.1:5000", true, "", ""},
		"loopback of IPv6":              {"[::1]:5000", true, "", ""},
		"loopback of IPv4 in IPv6":      {"[::ffff:127.0.0.1]:5000", true, "", ""},
		"elsewhere":                     {"192.0.2.7:5000", true, "", license.CodeLocalOnly},
		"no address":                    {"pipe", true, "", license.CodeLocalOnly},
		"a proxy on the machine":        {"127.0.0.1:5000", true, "X-Forwarded-For", license.CodeLocalOnly},
		"another proxy on it":           {"127.0.0.1:5000", true, "Via", license.CodeLocalOnly},
		"one that tells little":         {"127.0.0.1:5000", true, "X-Forwarded-Proto", license.CodeLocalOnly},
		"loopback of a group's server":  {"127.0.0.1:5000", false, "", license.CodeLocalOnly},
		"elsewhere of a group's server": {"192.0.2.7:5000", false, "", license.CodeLocalOnly},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, 0)
				l.net.From = tt.from
				l.source.Change(func(o *license.Options) { o.TMRID = 0 })
				l.start(t, "a", func(c *licenseserver.Config) { c.LocalPrograms = tt.local })
				a := l.api(t, "a")
				for i := range 3 {
					r := connect.NewRequest(access(i))
					r.Msg.Mode = []quoratev1.AccessMode{0, 1, 4}[i]
					if tt.header != "" {
						r.Header().Set(tt.header, "x")
					}
					answer, err := a.Access(t.Context(), r)
					wantCode(t, "access", err, tt.want)
					if err == nil && answer.Msg.GetHandle().GetMode() != quoratev1.AccessMode_ACCESS_MODE_NO_USER_LIMIT {
						t.Errorf("handle %v", answer.Msg.GetHandle())
					}
				}
			})
		})
	}
}

// What the list says of somebody counts at his next access and renewal; his
// keys and units last as long as the lease.
func TestAccessListIsAskedAgainAtARenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 2)
		l.start(t, "a", nil)
		a := l.api(t, "a")
		h := take(t, a, access(1))
		for _, rule := range []string{"!user:ada", "!host:pc-1", "!application:charts", "!subnet:192.0.2.0/24", "user:bert"} {
			r, err := license.ParseAccessRule(rule)
			if err != nil {
				t.Fatal(err)
			}
			l.source.Change(func(o *license.Options) { o.AccessList = []license.AccessRule{r} })
			_, err = renew(t.Context(), a, h.GetToken())
			wantCode(t, rule, err, license.CodeNotOnAccessList)
			if _, err := openKey(t.Context(), a, h.GetToken(), servertest.Wrap(nil)); err != nil {
				t.Errorf("a key within the lease: %v", err)
			}
			refused(t, rule, a, access(2), license.CodeNotOnAccessList)
		}
		l.source.Change(func(o *license.Options) {
			o.AccessList = []license.AccessRule{{Kind: license.AccessUser, Value: "ADA"}}
		})
		if _, err := renew(t.Context(), a, h.GetToken()); err != nil {
			t.Errorf("on the list again: %v", err)
		}
	})
}

// A released seat waits for its client, and is shown so.
func TestReleasedSeatLingers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		l.start(t, "a", nil)
		a := l.api(t, "a")
		l.source.Change(func(o *license.Options) { o.Linger = time.Minute })
		h := take(t, a, access(1))
		if err := release(t.Context(), a, h.GetToken()); err != nil {
			t.Fatal(err)
		}
		if u := list(t, a); u.GetLingering() != 1 || u.GetFree() != 0 || len(u.GetTaken()) != 0 {
			t.Errorf("use %v", u)
		}
		other := access(2)
		other.Client.User = "bert"
		refused(t, "another one while it lingers", a, other, license.CodeNoFreeSeat)
		h = take(t, a, access(3))
		// As the license says when it is released.
		l.source.Change(func(o *license.Options) { o.Linger = 0 })
		if err := release(t.Context(), a, h.GetToken()); err != nil {
			t.Fatal(err)
		}
		h = take(t, a, other)
		l.source.Change(func(o *license.Options) { o.Linger = time.Minute })
		l.source.Refuse(license.Errorf(license.CodeNoMajority, "wait", "too few"))
		if err := release(t.Context(), a, h.GetToken()); err != nil {
			t.Fatal(err)
		}
		l.source.Refuse(nil)
		if u := list(t, a); u.GetLingering() != 0 || u.GetFree() != 1 {
			t.Errorf("released while the license wasn't found: %v", u)
		}
	})
}

func TestExplain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		l.start(t, "a", nil)
		a := l.api(t, "a")
		m := explain(t, a, question())
		if !m.GetUsable() || len(m.GetReasons()) != 0 || m.GetName() != "Chart Processing" || m.GetContainer() != servertest.Virtual().String() ||
			m.GetFree() != 1 || m.GetStatus() == "" || m.GetNowMs() != time.Now().UnixMilli() || m.GetClockSetBack() || m.UnitsLeft != nil ||
			m.GetOptions().GetQuantity() != 1 {
			t.Errorf("%v", m)
		}
		now := time.Now()
		l.source.SetBack(true)
		l.source.Change(func(o *license.Options) {
			o.Activation, o.Expiration, o.Units = now.Add(time.Hour), now, new(uint64)
			o.AccessList = []license.AccessRule{{Kind: license.AccessUser, Value: "bertha"}}
			o.MinimumVersion, o.Maintenance.Until = "10", now
		})
		all := []license.Code{
			license.CodeClockSetBack, license.CodeNotYetValid, license.CodeExpired, license.CodeNoUnits, license.CodeNotOnAccessList,
			license.CodeWrongVersion, license.CodeWrongVersion, license.CodeFeatureMissing,
		}
		r := question()
		r.Features, r.Version = 0b100, "9.9"
		m = explain(t, a, r)
		if got := reasons(m); m.GetUsable() || !slices.Equal(got, all) || !m.GetClockSetBack() || m.UnitsLeft == nil || m.GetUnitsLeft() != 0 {
			t.Errorf("%v: %v", got, m)
		}
		if strings.Contains(m.String(), "bertha") {
			t.Errorf("the answer tells who else is on the list: %v", m)
		}
		if strings.Contains(list(t, a).String(), "bertha") {
			t.Error("the listing tells who else is on the list")
		}
		l.source.SetBack(false)
		l.source.Change(func(o *license.Options) { *o = license.Options{Quantity: 1, TMRID: 7} })
		h := take(t, a, access(1))
		m = explain(t, a, question())
		if got := reasons(m); !slices.Equal(got, []license.Code{license.CodeNoFreeSeat}) || m.GetFree() != 0 || strings.Contains(m.String(), "ada") {
			t.Errorf("%v: %v", got, m)
		}
		unlimited := question()
		unlimited.Mode = quoratev1.AccessMode_ACCESS_MODE_NO_USER_LIMIT
		if m = explain(t, a, unlimited); !m.GetUsable() {
			t.Errorf("without a seat: %v", m)
		}
		if err := release(t.Context(), a, h.GetToken()); err != nil {
			t.Fatal(err)
		}
		other := question()
		other.Product = &quoratev1.Product{Firm: 6000010, Code: 99}
		if m = explain(t, a, other); !slices.Equal(reasons(m), []license.Code{license.CodeNoLicense}) || m.Options != nil || m.GetUsable() {
			t.Errorf("%v", m)
		}
		for _, code := range []license.Code{license.CodeNoMajority, license.CodeTMROnly} {
			l.source.Refuse(license.Errorf(code, "x", "y"))
			if m = explain(t, a, question()); !slices.Equal(reasons(m), []license.Code{code}) || m.GetUsable() {
				t.Errorf("%v", m)
			}
		}
		l.source.Refuse(nil)
		l.source.Change(func(o *license.Options) { o.TMRID, o.UsagePeriod = 0, time.Hour })
		if m = explain(t, a, question()); !m.GetUsable() || m.GetFirstUseUnix() != 0 || !l.source.Used().First.IsZero() {
			t.Errorf("explaining is a use: %v", m)
		}
		l.source.Break(errors.New("disk full"))
		_, err := a.Explain(t.Context(), connect.NewRequest(question()))
		wantCode(t, "what was used is not known", err, license.CodeInternal)
	})
}

func TestExplainNeedsTheLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		s := l.start(t, "a", nil)
		s.Stop()
		_, err := l.api(t, "a").Explain(t.Context(), connect.NewRequest(question()))
		wantCode(t, "explained by a server that doesn't lead", err, license.CodeNotLeader)
	})
}

func TestListingTellsOptionsAndUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 2)
		l.start(t, "a", nil)
		a := l.api(t, "a")
		l.source.Change(func(o *license.Options) {
			o.TMRID, o.UsagePeriod, o.Units, o.Text = 0, time.Hour, new(uint64(5)), "for tests"
		})
		if u := list(t, a); !u.GetUsable() || u.GetRefusal() != nil || u.GetFirstUseUnix() != 0 || u.GetUntilUnix() != 0 || u.GetUnitsLeft() != 5 ||
			u.GetOptions().GetText() != "for tests" {
			t.Errorf("use %v", u)
		}
		h := take(t, a, access(1))
		if h.GetUnitsLeft() != 5 || h.GetOptions().GetText() != "for tests" {
			t.Errorf("handle %v", h)
		}
		if _, err := consume(t.Context(), a, h.GetToken(), "request-u", 5); err != nil {
			t.Fatal(err)
		}
		u := list(t, a)
		if u.GetUsable() || u.GetWhyNot() != string(license.CodeNoUnits) || u.GetRefusal().GetFix() == "" || u.UnitsLeft == nil || u.GetUnitsLeft() != 0 ||
			u.GetFirstUseUnix() != time.Now().Unix() || u.GetUntilUnix() != time.Now().Add(time.Hour).Unix() || u.GetFree() != 0 {
			t.Errorf("use %v", u)
		}
		l.source.Break(license.Errorf(license.CodeNoMajority, "wait", "too few meters"))
		if u := list(t, a); u.GetUsable() || u.GetWhyNot() != string(license.CodeNoMajority) || u.UnitsLeft != nil {
			t.Errorf("without meters: %v", u)
		}
	})
}

// A leader that a source fences stops leading, as one that its store fences.
func TestFencedBySource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 2)
		s := l.start(t, "a", nil)
		a := l.api(t, "a")
		l.source.Change(func(o *license.Options) { o.Units = new(uint64(5)) })
		h := take(t, a, access(1))
		epoch, _ := s.Leading()
		l.source.Break(lease.Fenced(servertest.Virtual(), epoch))
		_, err := consume(t.Context(), a, h.GetToken(), "request-u", 1)
		wantCode(t, "fenced", err, license.CodeNotLeader)
		l.source.Break(nil)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if now, leading := s.Leading(); !leading || now <= epoch {
			t.Errorf("epoch %d after %d, leading %t", now, epoch, leading)
		}
		// The request is the same one, under the next epoch too.
		if left, err := consume(t.Context(), a, h.GetToken(), "request-u", 1); left != 4 || err != nil {
			t.Errorf("%d left, %v", left, err)
		}
	})
}

// A license that becomes local, or one for the network, throws nobody out.
func TestAccessAcrossAnUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		l.net.From = "127.0.0.1:5000"
		l.source.Change(func(o *license.Options) { o.TMRID = 0 })
		l.start(t, "a", func(c *licenseserver.Config) { c.LocalPrograms = true })
		a := l.api(t, "a")
		h := take(t, a, access(1))
		l.source.Change(func(o *license.Options) { o.Quantity = 0 })
		take(t, a, access(2))
		if h, err := renew(t.Context(), a, h.GetToken()); err != nil || h.GetSeat() != 1 {
			t.Errorf("a handle with a seat, of a license that has none any more: %v, %v", h, err)
		}
		l.source.Change(func(o *license.Options) { o.Quantity = 1 })
		refused(t, "one more than one", a, access(3), license.CodeNoFreeSeat)
	})
}
