package licenseserver_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/licenseserver"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
	"github.com/quorate/quorate/internal/telemetry/calls"
)

func TestFigures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 2)
		s := l.start(t, "a", nil)
		api := l.api(t, "a")
		take(t, api, access(1))
		got, err := s.Figures(t.Context())
		if want := (licenseserver.Figures{Leading: true, Terms: 1, Handles: 1, Taken: 1, Quantity: 2}); err != nil || got != want {
			t.Errorf("%+v, %v", got, err)
		}
		s.Stop() // who doesn't lead any more has the number of its terms alone
		if got, err := s.Figures(t.Context()); err != nil || got != (licenseserver.Figures{Terms: 1}) {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

// What programs ask for is counted, by mode and code, and how long renewals take.
func TestCallsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		registry := prometheus.NewRegistry()
		s, err := licenseserver.New(licenseserver.Config{Name: "a", Source: l.source, Store: l.store, Signer: l.signer, Arbiter: licenseserver.Always{}})
		if err != nil {
			t.Fatal(err)
		}
		mux := http.NewServeMux()
		mux.Handle(s.Handler(calls.Watch{Metrics: calls.NewMetrics(registry)}.Option(), calls.NewLicenseMetrics(registry).Option()))
		l.net.Serve(t, "a", mux)
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Stop)
		synctest.Wait()
		client := rpc.NewClient(rpc.ClientConfig{Dial: l.net.DialContext})
		t.Cleanup(client.Close)
		api := quoratev1connect.NewLicenseServiceClient(client, "http://a", rpc.ClientOptions())
		h := take(t, api, access(1))
		if _, err := api.Access(t.Context(), connect.NewRequest(access(2))); license.CodeOf(err) != license.CodeNoFreeSeat {
			t.Fatal(err)
		}
		if _, err := renew(t.Context(), api, h.GetToken()); err != nil {
			t.Fatal(err)
		}
		if _, err := renew(t.Context(), api, []byte("none")); err == nil {
			t.Fatal("a token of nobody's was renewed")
		}
		w := httptest.NewRecorder()
		promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		for _, line := range []string{
			`quorate_license_grants_total{mode="` + string(license.UserLimit) + `"} 1`,
			`quorate_license_denials_total{code="NO_FREE_SEAT"} 1`,
			`quorate_license_renew_duration_seconds_count{granted="true"} 1`,
			`quorate_license_renew_duration_seconds_count{granted="false"} 1`,
			`quorate_rpc_calls_total{code="NO_FREE_SEAT",procedure="/quorate.v1.LicenseService/Access"} 1`,
			`quorate_rpc_calls_total{code="OK",procedure="/quorate.v1.LicenseService/Renew"} 1`,
			`quorate_rpc_call_duration_seconds_count{procedure="/quorate.v1.LicenseService/Access"} 2`,
			`quorate_rpc_calls_in_flight{procedure="/quorate.v1.LicenseService/Access"} 0`,
		} {
			if !strings.Contains(w.Body.String(), line+"\n") {
				t.Errorf("%s is missing in\n%s", line, w.Body)
			}
		}
	})
}
