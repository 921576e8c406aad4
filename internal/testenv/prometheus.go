package testenv

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// PrometheusServer is a private Prometheus of one test, on loopback.
type PrometheusServer struct{ addr string }

// Prometheus starts a Prometheus that asks targets (host:port by job) for their
// metrics every two seconds, until the end of the test, and waits until it is ready.
func Prometheus(t testing.TB, targets map[string]string) *PrometheusServer {
	t.Helper()
	path, err := program("prometheus", "prometheus")
	if err != nil {
		t.Fatalf("Prometheus for tests: %v", err)
	}
	dir, dog, err := folder("qpm")
	if err != nil {
		t.Fatalf("Prometheus for tests: %v", err)
	}
	t.Cleanup(dog.release)
	var config strings.Builder
	config.WriteString("global: {scrape_interval: 2s, scrape_timeout: 2s}\nscrape_configs:\n")
	for _, job := range slices.Sorted(maps.Keys(targets)) {
		fmt.Fprintf(&config, "- {job_name: %s, static_configs: [{targets: [%s]}]}\n", strconv.Quote(job), strconv.Quote(targets[job]))
	}
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &PrometheusServer{}
	// A port found free may be taken before Prometheus has it: try others.
	for attempt := 1; ; attempt++ {
		if p.addr, err = freeAddr(); err == nil {
			err = p.start(t, path, file, dir)
		}
		if err == nil {
			return p
		}
		if attempt == 5 {
			t.Fatalf("Prometheus for tests: %v", err)
		}
	}
}

func (p *PrometheusServer) start(t testing.TB, path, file, dir string) error {
	cmd := exec.Command(path, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+p.addr, "--log.level=warn")
	cmd.Dir = dir
	said := &strings.Builder{}
	cmd.Stdout, cmd.Stderr = said, said
	if err := start(cmd, syscall.SIGKILL); err != nil {
		return err
	}
	gone := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(gone)
	}()
	end := func() {
		_ = cmd.Process.Kill()
		<-gone
	}
	err := poll(30*time.Second, func() error {
		select {
		case <-gone:
			return fmt.Errorf("%w: %s", errEnded, strings.TrimSpace(said.String()))
		default:
		}
		res, err := http.Get("http://" + p.addr + "/-/ready")
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("not ready: %s", res.Status)
		}
		return nil
	})
	if err != nil {
		end()
		return fmt.Errorf("prometheus does not come up: %w", err)
	}
	t.Cleanup(end)
	return nil
}

// Query gives the values of an instant query by their labels, in Prometheus's own
// writing: the labels of each series as JSON.
func (p *PrometheusServer) Query(expr string) (map[string]float64, error) {
	res, err := http.Get("http://" + p.addr + "/api/v1/query?query=" + url.QueryEscape(expr))
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Status, Error string
		Data          struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, err
	}
	if answer.Status != "success" {
		return nil, fmt.Errorf("%s: %s", expr, answer.Error)
	}
	all := map[string]float64{}
	for _, r := range answer.Data.Result {
		labels, err := json.Marshal(r.Metric)
		if err != nil {
			return nil, err
		}
		text, _ := r.Value[1].(string)
		if all[string(labels)], err = strconv.ParseFloat(text, 64); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Promtool has Prometheus's own tool check metrics as they are served, and gives
// what it says against them.
func Promtool(t testing.TB, metrics []byte) string {
	t.Helper()
	out, err := promtool(t, metrics, "check", "metrics")
	if err != nil || out != "" {
		return fmt.Sprintf("%v: %s", err, out)
	}
	return ""
}

// PromRules has it check a file of rules, and gives what it says against them.
func PromRules(t testing.TB, file string) string {
	t.Helper()
	out, err := promtool(t, nil, "check", "rules", "--lint-fatal", file)
	if err != nil {
		return fmt.Sprintf("%v: %s", err, out)
	}
	return ""
}

func promtool(t testing.TB, in []byte, args ...string) (string, error) {
	t.Helper()
	path, err := program("promtool", "prometheus")
	if err != nil {
		t.Fatalf("Prometheus for tests: %v", err)
	}
	cmd := exec.Command(path, args...)
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
