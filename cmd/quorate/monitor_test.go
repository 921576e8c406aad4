package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
)

// The platform as it is started shows metrics at the address for them, and at no
// other.
func TestMetricsHaveAnAddressOfTheirOwn(t *testing.T) {
	dir := t.TempDir()
	common := []string{"--database", filepath.Join(dir, "p.db"), "--master-key", filepath.Join(dir, "master.key"), "--json"}
	var errs bytes.Buffer
	std := cli.Streams{In: strings.NewReader(""), Out: io.Discard, Err: &errs}
	if status := run(t.Context(), append([]string{"platform", "init", "--organization", "Vendor", "--email", "owner@example.com"}, common...), std); status != 0 {
		t.Fatal(errs.String())
	}
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	std.Out = in
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, append([]string{"platform", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"}, common...), std)
		_ = in.Close()
	}()
	var ready struct{ URL, Metrics string }
	if err := json.NewDecoder(out).Decode(&ready); err != nil || ready.Metrics == "" {
		cancel()
		t.Fatal(ready, err, errs.String())
	}
	get := func(url string) (int, string) {
		t.Helper()
		res, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(b)
	}
	status, text := get(ready.Metrics)
	if status != 200 || !strings.Contains(text, `version="`+version+`"`) || !strings.Contains(text, "quorate_rollouts{state=") {
		t.Errorf("%d %s", status, text)
	}
	if status, _ := get(strings.TrimSuffix(ready.Metrics, "/metrics") + "/readyz"); status != 200 {
		t.Errorf("not ready: %d", status)
	}
	if _, text := get(ready.URL + "/metrics"); strings.Contains(text, "quorate_") {
		t.Error("the platform's own address shows metrics")
	}
	cancel()
	if status := <-ended; status != 0 {
		t.Errorf("exit status %d: %s", status, errs.String())
	}
}
