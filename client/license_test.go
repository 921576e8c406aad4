package client_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/licenseserver/servertest"
)

func TestProgramStatesVersionAndReleaseDate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 9)
		l.start(t, "a", 30*time.Second)
		day := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
		l.source.Change(func(o *license.Options) { o.MinimumVersion, o.Maintenance.Until = "10.4", day })
		silent := l.open(t, nil, "a")
		stated := l.open(t, func(c *client.Config) { c.Version, c.ReleaseDate = "10.4.1", day }, "a")
		for name, tt := range map[string]struct {
			c    *client.Client
			opts []client.Option
			want client.Code
		}{
			"nothing stated":         {silent, nil, client.CodeWrongVersion},
			"one of two stated":      {silent, []client.Option{client.WithVersion("10.4")}, client.CodeWrongVersion},
			"both stated":            {silent, []client.Option{client.WithVersion("10.4"), client.WithReleaseDate(day)}, ""},
			"by the configuration":   {stated, nil, ""},
			"a lower version":        {stated, []client.Option{client.WithVersion("10.3")}, client.CodeWrongVersion},
			"a later release":        {stated, []client.Option{client.WithReleaseDate(day.Add(24 * time.Hour))}, client.CodeWrongVersion},
			"a version that is none": {stated, []client.Option{client.WithVersion("x")}, client.CodeInvalidInput},
		} {
			h, err := tt.c.Access(t.Context(), product, tt.opts...)
			wantCode(t, name, err, tt.want)
			if err == nil {
				defer func() { _ = h.Release(t.Context()) }()
			}
			why, err := tt.c.Why(t.Context(), product, tt.opts...)
			if tt.want == client.CodeInvalidInput {
				wantCode(t, name+" explained", err, tt.want)
				continue
			}
			if err != nil || why.Usable != (tt.want == "") || client.CodeOf(why.Err()) != tt.want {
				t.Errorf("%s explained: %+v, %v", name, why, err)
			}
		}
	})
}

func TestConsume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 2)
		a := l.start(t, "a", 30*time.Second)
		c := l.open(t, nil, "a")
		h := access(t, c)
		if h.License().UnitsLeft != nil {
			t.Errorf("%+v", h.License())
		}
		_, err := h.Consume(t.Context(), 1)
		wantCode(t, "a license that isn't counted", err, client.CodeNoUnits)
		l.source.Change(func(o *license.Options) { o.Units = new(uint64(10)) })
		time.Sleep(time.Minute) // renewed
		if n := h.License().UnitsLeft; n == nil || *n != 10 {
			t.Errorf("%+v", h.License())
		}
		procedure := "ConsumeUnits"
		a.lose.Store(&procedure)
		left, err := h.Consume(t.Context(), 4)
		if left != 6 || err != nil || a.lose.Load() != nil || l.source.Used().Units != 4 {
			t.Errorf("after a lost answer %d are left, %v, %d taken", left, err, l.source.Used().Units)
		}
		_, err = h.Consume(t.Context(), 7)
		wantCode(t, "one too many", err, client.CodeNoUnits)
		var e *client.Error
		if !errors.As(err, &e) || e.Details["unitsLeft"] != 6.0 {
			t.Errorf("%+v", e)
		}
		_, err = h.Consume(t.Context(), 0)
		wantCode(t, "none", err, client.CodeInvalidInput)
		if left, err := h.Consume(t.Context(), 6); left != 0 || err != nil || *h.License().UnitsLeft != 0 {
			t.Errorf("%d left, %v", left, err)
		}
		_, err = c.Access(t.Context(), product)
		wantCode(t, "access without units", err, client.CodeNoUnits)
		time.Sleep(time.Minute)
		alive(t, "without units", h)
		if err := h.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, err = h.Consume(t.Context(), 1)
		wantCode(t, "a released handle", err, client.CodeHandleUnknown)
	})
}

func TestDataAndDerive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		a := l.start(t, "a", 30*time.Second)
		h := access(t, l.open(t, nil, "a"))
		_, err := h.Data(t.Context())
		wantCode(t, "no data", err, client.CodeNotFound)
		_, err = h.Derive(t.Context(), []byte("x"))
		wantCode(t, "no secret", err, client.CodeNotFound)
		l.source.Change(func(o *license.Options) { o.Protected, o.Secret = license.DataName{1}, license.DataName{2} })
		for _, p := range []string{"ReadData", "UseSecret"} {
			a.lose.Store(&p)
			if data, err := h.Data(t.Context()); !bytes.Equal(data, append([]byte{1}, make([]byte, 15)...)) || err != nil {
				t.Errorf("%x, %v", data, err)
			}
			key, err := h.Derive(t.Context(), []byte("x"))
			if !bytes.Equal(key, servertest.Derived(license.DataName{2}, []byte("x"))) || err != nil {
				t.Errorf("%x, %v", key, err)
			}
		}
		_, err = h.Derive(t.Context(), nil)
		wantCode(t, "no purpose", err, client.CodeInvalidInput)
		l.net.Gone("a")
		<-h.Done()
		_, err = h.Data(t.Context())
		wantCode(t, "data of a dead handle", err, client.CodeHandleExpired)
	})
}

func TestHandleTellsOfItsLicense(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 3)
		l.start(t, "a", 30*time.Second)
		end := time.Now().Add(240 * time.Hour).UTC()
		day := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
		l.source.Change(func(o *license.Options) {
			*o = license.Options{
				Quantity: 3, FeatureMap: 5, Text: "for Acme", Expiration: end, Units: new(uint64(9)), UsagePeriod: time.Hour, Linger: time.Minute,
				MinimumVersion: "1", Maintenance: license.Maintenance{From: day, Until: day}, Protected: license.DataName{1},
				AccessList: []license.AccessRule{{Kind: license.AccessUser, Value: "ada"}},
			}
			o.Activation = time.Unix(1, 0)
		})
		c := l.open(t, func(c *client.Config) { c.Version, c.ReleaseDate = "1", day }, "a")
		h := access(t, c)
		got := h.License()
		if got.Quantity != 3 || got.FeatureMap != 5 || got.Text != "for Acme" || !got.Expiration.Equal(end) || *got.Units != 9 || *got.UnitsLeft != 9 ||
			got.UsagePeriod != time.Hour || got.Linger != time.Minute || got.Activation.Unix() != 1 || got.MinimumVersion != "1" ||
			!got.MaintenanceFrom.Equal(day) || !got.MaintenanceUntil.Equal(day) || !got.ProtectedData || got.SecretData || got.TMRID != 0 ||
			got.Until.Unix() != time.Now().Add(time.Hour).Unix() {
			t.Errorf("%+v", got)
		}
		*got.UnitsLeft, *got.Units = 1, 1
		if again := h.License(); *again.UnitsLeft != 9 || *again.Units != 9 {
			t.Error("a program changes what the handle tells")
		}
		all, err := c.Licenses(t.Context())
		if err != nil || len(all) != 1 {
			t.Fatal(all, err)
		}
		if m := all[0]; m.Terms.Text != "for Acme" || *m.UnitsLeft != 9 || m.FirstUse.Unix() != time.Now().Unix() ||
			m.Until.Unix() != got.Until.Unix() || m.Refusal != nil || m.Lingering != 0 {
			t.Errorf("%+v", m)
		}
		if err := h.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		all, err = c.Licenses(t.Context())
		if m := all[0]; err != nil || m.Usable || m.WhyNot != client.CodeUsageOver || m.Refusal == nil || m.Refusal.Fix == "" {
			t.Errorf("%+v, %v", m, err)
		}
	})
}

func TestWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		a := l.start(t, "a", 30*time.Second)
		c := l.open(t, nil, "b", "a")
		why, err := c.Why(t.Context(), product)
		if err != nil || !why.Usable || why.Err() != nil || !why.Found || why.Product != product || why.Name != "Chart Processing" ||
			why.Container != servertest.Virtual().String() || why.Free != 1 || why.Status == "" || !why.Now.Equal(time.Now()) ||
			why.ClockSetBack || !why.Certified.IsZero() || why.Terms.FeatureMap != 0b1011 {
			t.Errorf("%+v, %v", why, err)
		}
		now := time.Now()
		l.source.SetBack(true)
		l.source.Change(func(o *license.Options) { o.Activation, o.Expiration = now.Add(-time.Hour), now.Add(time.Hour) })
		why, err = c.Why(t.Context(), product, client.WithFeatures(0b100))
		if err != nil || why.Usable || len(why.Reasons) != 2 || why.Reasons[0].Code != client.CodeClockSetBack ||
			why.Reasons[1].Code != client.CodeFeatureMissing || why.Reasons[1].Fix == "" || !why.ClockSetBack ||
			why.From.Unix() != now.Add(-time.Hour).Unix() || why.Until.Unix() != now.Add(time.Hour).Unix() {
			t.Errorf("%+v, %v", why, err)
		}
		wantCode(t, "the first reason", why.Err(), client.CodeClockSetBack)
		why, err = c.Why(t.Context(), "6000010:99")
		if err != nil || why.Found || len(why.Reasons) != 1 || why.Reasons[0].Code != client.CodeNoLicense {
			t.Errorf("%+v, %v", why, err)
		}
		_, err = c.Why(t.Context(), "chart")
		wantCode(t, "a product that is none", err, client.CodeInvalidInput)
		a.Stop()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = c.Why(ctx, product)
		wantCode(t, "nobody leads", err, client.CodeNotLeader)
	})
}
