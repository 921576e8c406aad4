package tmr_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/offline"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
	"github.com/quorate/quorate/internal/seal"
)

// full makes n licenses that use up what one container may hold.
func full(n int) []license.Held {
	held := make([]license.Held, n)
	for i := range held {
		held[i] = license.Held{License: license.License{
			Product: license.Product{Firm: product.Firm, Code: license.ProductCode(i + 1)}, Name: strings.Repeat("n", license.MostProductName),
			Options: license.Options{Quantity: 20, TMRID: 8, MinimumVersion: "10.4.1", Units: new(uint64(license.MostUnits)), Issue: 1},
		}}
	}
	for {
		grown := slices.Clone(held)
		for i, h := range grown {
			h.Options = h.Options.Clone()
			if len(h.Options.AccessList) == license.MostAccessList {
				return held
			}
			name := fmt.Sprintf("%d-", len(h.Options.AccessList))
			rule := license.AccessRule{Kind: license.AccessUser, Value: name + strings.Repeat("x", 700_000/n/license.MostAccessList)}
			h.Options.AccessList = append(h.Options.AccessList, rule)
			if n > license.MostAccessList {
				before := h.Options.Clone()
				before.TMRID, before.AccessList = 7, before.AccessList[:len(before.AccessList)/2]
				h.Predecessor = &before
			}
			grown[i] = h
		}
		if !seal.HoldingsFit(grown) {
			return held
		}
		held = grown
	}
}

// As many licenses as a container may hold, with lists that are as long as they
// may be then, fit a state and a view.
func TestFullStates(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		held := full(seal.MostLicenses)
		for _, c := range l.containers {
			c.Set(held...)
		}
		g := l.run()
		v := l.await(l.status("1:#8 2:#8 3:#8"))
		if len(v.Licenses) != len(held) || len(v.Licenses[511].Options.AccessList) < 8 {
			t.Fatalf("%d licenses in view", len(v.Licenses))
		}
		state := proto.Size(&quoratev1.ContainerState{Licenses: rpc.HeldsProto(held)})
		view := proto.Size(rpc.ViewProto(v, v.At))
		t.Logf("state %d, view %d of %d bytes", state, view, rpc.MostMessage)
		if state < 600<<10 || state > rpc.MostMessage/2 || view > rpc.MostMessage/2 {
			t.Error("the containers aren't full, or the messages are too large")
		}
		// Views that are kept are bounded, and there are always some.
		for range 20 {
			l.kill(1)
			l.await(func(v license.View) bool { return v.PresentCount() == 2 })
			l.start(1)
			l.await(func(v license.View) bool { return v.PresentCount() == 3 })
		}
		now := g.View().Version
		if _, err := g.Views(t.Context(), now-5, 5); err != nil {
			t.Errorf("the last views: %v", err)
		}
		_, err := g.Views(t.Context(), now-39, 5)
		coded(t, "long ago", err, license.CodeConflict)
	})
}

// What full containers sign fits the messages: requests, and the statements that
// go along with an activation.
func TestFullContainers(t *testing.T) {
	r := newReal(t)
	g := r.group()
	held := full(50)
	all := make([]seal.Grant, len(held))
	for i, h := range held {
		all[i] = r.grant(h.Options)
		all[i].License = h
	}
	r.roll(g, all...)
	prints, err := g.Collect(t.Context(), nonce)
	if err != nil {
		t.Fatal(err)
	}
	if len(prints[0]) < 700<<10 {
		t.Errorf("a fingerprint of %d bytes: the containers aren't full", len(prints[0]))
	}
	// One more rollout goes along with two statements of full containers, and a
	// backend comes back with all it has.
	all[0].License.Options.TMRID = 9
	r.roll(g, all[0])
	r.restart(1)
	r.await(g, "it is back", func(v license.View) bool { return v.Status() == "1:#9 2:#9 3:#9" })
	// So does a request of the whole group by files.
	mux := http.NewServeMux()
	mux.Handle(offline.Handler(offline.Config{
		Group: g, Virtual: virtual, Leading: func() bool { return true }, AdminToken: "an-administrators-token",
	}))
	server := httptest.NewServer(rpc.NewServer(mux, slog.New(slog.DiscardHandler)).Handler)
	defer server.Close()
	admin := quoratev1connect.NewAdminServiceClient(server.Client(), server.URL, rpc.ClientOptions())
	req := connect.NewRequest(&quoratev1.OfflineRequestRequest{})
	req.Header().Set("Authorization", "Bearer an-administrators-token")
	res, err := admin.OfflineRequest(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range res.Msg.GetFingerprints() {
		if f, err := seal.OpenFingerprint(p); err != nil || len(f.Licenses) != len(all) {
			t.Errorf("fingerprint %d: %v", i+1, err)
		}
	}
}
