package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/internal/testenv"
)

const benchClients = 16

// Access and release through the TMR server, and in the same run the script
// that it calls for an access, by redis-benchmark on the same Redis. A pair is
// two calls of a script, so the ratio compares script calls per second.
func BenchmarkAccessReleaseThroughTMR(b *testing.B) {
	redis := testenv.Redis(b, testenv.Durable()...)
	l := newLab(b, labConfig{redis: redis.URL()})
	l.api.order(b, 100_000)
	must(b, "rollout", "start", virtual, "--wait", "--url", l.api.url, "--token", l.api.token)
	script := l.accessScript(b, redis.Addr)

	p := newPrograms(b, l.tmr[l.leader(0, 1)].ready["licenseServer"])
	clients := make([]*client.Client, benchClients)
	for i := range clients {
		c, err := p.open(fmt.Sprintf("bench%02d", i))
		if err != nil {
			b.Fatal(err)
		}
		clients[i] = c
	}
	took := make([][]time.Duration, benchClients)
	b.ResetTimer()
	var wg sync.WaitGroup
	for i, c := range clients {
		wg.Go(func() {
			for n := i; n < b.N; n += benchClients {
				begin := time.Now()
				h, err := c.Access(context.Background(), product)
				if err == nil {
					took[i] = append(took[i], time.Since(begin))
					err = h.Release(context.Background())
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	all := slices.Concat(took...)
	slices.Sort(all)
	if len(all) == 0 {
		b.Fatal("nothing was measured")
	}
	pairs := float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(pairs, "pairs/s")
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-access-µs")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-access-µs")

	bare := redisBenchmark(b, redis.Addr, script)
	b.ReportMetric(bare, "bare-scripts/s")
	b.ReportMetric(2*pairs/bare, "of-bare")
}

var monitored = regexp.MustCompile(`"((?:[^"\\]|\\.)*)"`)

// accessScript gives the command that the TMR server sends to Redis for an
// access, as Redis sees it.
func (l *lab) accessScript(b *testing.B, addr string) []string {
	b.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprint(conn, "MONITOR\r\n"); err != nil {
		b.Fatal(err)
	}
	lines := bufio.NewScanner(conn)
	lines.Buffer(nil, 1<<20)
	lines.Scan() // +OK: from here on nothing is missed
	p := newPrograms(b, l.programServers()...)
	c, err := p.open("script-probe")
	if err != nil {
		b.Fatal(err)
	}
	h, err := c.Access(context.Background(), product)
	if err != nil {
		b.Fatal(err)
	}
	id := h.Info().ID
	if err := h.Release(context.Background()); err != nil {
		b.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	for lines.Scan() {
		if !strings.Contains(lines.Text(), "script-probe") || !strings.Contains(strings.ToUpper(lines.Text()), "EVALSHA") {
			continue
		}
		var args []string
		for _, m := range monitored.FindAllString(lines.Text(), -1) {
			s, err := strconv.Unquote(m)
			if err != nil {
				b.Fatalf("%v: %s", err, m)
			}
			args = append(args, strings.ReplaceAll(s, id, "bench-__rand_int__"))
		}
		return args
	}
	b.Fatal("Redis showed no access")
	return nil
}

var perSecond = regexp.MustCompile(`([0-9.]+) requests per second`)

func redisBenchmark(b *testing.B, addr string, command []string) float64 {
	b.Helper()
	host, port, _ := net.SplitHostPort(addr)
	args := append([]string{"-h", host, "-p", port, "-c", strconv.Itoa(benchClients), "-n", "20000", "-r", "1000000000", "-q"}, command...)
	out, err := exec.Command("redis-benchmark", args...).CombinedOutput()
	if err != nil {
		b.Fatalf("redis-benchmark: %v\n%s", err, out)
	}
	all := perSecond.FindAllStringSubmatch(string(out), -1)
	if len(all) == 0 {
		b.Fatalf("redis-benchmark printed\n%s", out)
	}
	n, err := strconv.ParseFloat(all[len(all)-1][1], 64)
	if err != nil {
		b.Fatal(err)
	}
	return n
}
