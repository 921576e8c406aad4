package e2e

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/testenv"
)

// What is watched in BenchmarkSubscribers, and how it changes.
const (
	watchedObjects = 20
	changesASecond = 20
	watchedFor     = 10 * time.Second
)

const benchLiveQuery = `subscription($container: ID!) { allocationsChanged(container: $container) {
	sequence since snapshot position total taken free upserted { id user application accesses lastAccessAt state } removed } }`

// BenchmarkSubscribers measures how soon a change reaches those who watch, by
// WebSocket, and what memory each of them takes of the server: 20 containers
// change once a second each, told to 1,000 and 5,000 subscribers in equal parts.
// The time counts from when the change is committed, and is told of by another
// replica: the platform hears it by Redis, reads what changed, numbers it in
// Redis, executes the operation and sends it. Beside it Centrifugo, with Redis
// too, twice: fed with the same changes, by the least that has to be done for
// that (feed), and given the finished message by its HTTP API. Servers,
// databases and subscribers share the machine.
func BenchmarkSubscribers(b *testing.B) {
	for _, n := range []int{1000, 5000} {
		b.Run(fmt.Sprintf("quorate/subscribers=%d", n), func(b *testing.B) { benchQuorate(b, n) })
		b.Run(fmt.Sprintf("centrifugo-fed/subscribers=%d", n), func(b *testing.B) { benchCentrifugo(b, n, true) })
		b.Run(fmt.Sprintf("centrifugo/subscribers=%d", n), func(b *testing.B) { benchCentrifugo(b, n, false) })
	}
}

// audience is who watches, and when the changes were told.
type audience struct {
	sent []atomic.Int64 // nanoseconds, by the change's number
	mu   sync.Mutex
	took []time.Duration
	got  atomic.Int64
	lost atomic.Int64 // connections
}

func newAudience() *audience {
	return &audience{sent: make([]atomic.Int64, changesASecond*int(watchedFor/time.Second)+1)}
}

// hear notes which changes a message tells of.
func (a *audience) hear(data []byte) {
	now := time.Now().UnixNano()
	for {
		i := bytes.Index(data, []byte(`"accesses":`))
		if i < 0 {
			return
		}
		data = data[i+len(`"accesses":`):]
		end := bytes.IndexAny(data, ",}")
		n, err := strconv.Atoi(string(data[:max(end, 0)]))
		if err != nil || n <= 0 || n >= len(a.sent) {
			continue
		}
		if at := a.sent[n].Load(); at > 0 {
			a.got.Add(1)
			a.mu.Lock()
			a.took = append(a.took, time.Duration(now-at))
			a.mu.Unlock()
		}
	}
}

// run has changes told, evenly over time, and waits for the last to arrive. It
// notes what processor time the server took for each message.
func (a *audience) run(b *testing.B, server int, tell func(object, number int) (at time.Time)) {
	b.Helper()
	before := processor(b, server)
	defer func() {
		b.ReportMetric(float64((processor(b, server)-before).Microseconds())/float64(a.got.Load()), "µs/message")
	}()
	tick := time.NewTicker(time.Second / changesASecond)
	defer tick.Stop()
	for n := 1; n < len(a.sent); n++ {
		<-tick.C
		at := tell(n%watchedObjects, n)
		a.sent[n].CompareAndSwap(0, at.UnixNano())
	}
	time.Sleep(2 * time.Second)
}

func (a *audience) report(b *testing.B, subscribers int, rss int64) {
	b.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	slices.Sort(a.took)
	if len(a.took) == 0 {
		b.Fatal("nothing arrived")
	}
	ms := func(q float64) float64 {
		return float64(a.took[int(float64(len(a.took)-1)*q)].Microseconds()) / 1000
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ms(0.5), "p50-ms")
	b.ReportMetric(ms(0.99), "p99-ms")
	b.ReportMetric(float64(rss)/float64(subscribers)/1024, "KiB/subscriber")
	b.ReportMetric(float64(a.got.Load())/float64(int64(len(a.sent)-1)*int64(subscribers)/watchedObjects), "delivered")
	if n := a.lost.Load(); n > 0 {
		b.Errorf("%d connections were lost", n)
	}
}

// join opens a connection per subscriber, 50 at a time; say begins each, and pong
// answers a ping, nil: it is none.
func (a *audience) join(b *testing.B, subscribers int, url string, options *websocket.DialOptions, say func(ctx context.Context, c *websocket.Conn, i int) error, pong func([]byte) []byte) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	b.Cleanup(cancel)
	gate, failed := make(chan struct{}, 50), make(chan error, subscribers)
	var all sync.WaitGroup
	for i := range subscribers {
		gate <- struct{}{}
		all.Go(func() {
			defer func() { <-gate }()
			c, _, err := websocket.Dial(ctx, url, options)
			if err != nil {
				failed <- err
				return
			}
			c.SetReadLimit(1 << 20)
			if err := say(ctx, c, i); err != nil {
				failed <- err
				return
			}
			go func() {
				for {
					_, data, err := c.Read(ctx)
					if err != nil {
						if ctx.Err() == nil {
							a.lost.Add(1)
						}
						return
					}
					if answer := pong(data); answer != nil {
						_ = c.Write(ctx, websocket.MessageText, answer)
						continue
					}
					a.hear(data)
				}
			}()
		})
	}
	all.Wait()
	if len(failed) > 0 {
		b.Fatalf("%d of %d could not subscribe: %v", len(failed), subscribers, <-failed)
	}
}

func resident(b *testing.B, pid int) int64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return kib << 10
}

func benchQuorate(b *testing.B, subscribers int) {
	c := newChanges(b, newReplicas(b, 1, "--points-per-caller", "0", "--points-per-organization", "0"))
	r, objects := c.replicas, c.objects
	a := newAudience()
	options := &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}}
	subscribe := func(ctx context.Context, c *websocket.Conn, i int) error {
		begin := fmt.Sprintf(`{"type":"connection_init","payload":{"authorization":"Bearer %s"}}`, r.token)
		if err := c.Write(ctx, websocket.MessageText, []byte(begin)); err != nil {
			return err
		}
		if _, _, err := c.Read(ctx); err != nil {
			return err
		}
		payload, err := json.Marshal(map[string]any{"query": benchLiveQuery, "variables": map[string]any{"container": objects[i%watchedObjects]}})
		if err != nil {
			return err
		}
		if err := c.Write(ctx, websocket.MessageText, fmt.Appendf(nil, `{"id":"%08d-0000-4000-8000-000000000000","type":"subscribe","payload":%s}`, i, payload)); err != nil {
			return err
		}
		_, first, err := c.Read(ctx) // the snapshot
		if err == nil && !bytes.Contains(first, []byte(`"snapshot":true`)) {
			err = fmt.Errorf("began with %.300s", first)
		}
		return err
	}
	pong := func(data []byte) []byte {
		if bytes.HasPrefix(data, []byte(`{"type":"ping"`)) {
			return []byte(`{"type":"pong"}`)
		}
		return nil
	}
	url := "ws" + strings.TrimPrefix(r.urls[0], "http") + "/graphql"
	a.join(b, watchedObjects, url, options, subscribe, pong) // what the first subscribers of all cost
	before := resident(b, r.processes[0].cmd.Process.Pid)
	a.join(b, subscribers-watchedObjects, url, options, subscribe, pong)
	a.run(b, r.processes[0].cmd.Process.Pid, func(object, number int) time.Time { return c.commit(b, a, object, number) })
	a.report(b, subscribers, resident(b, r.processes[0].cmd.Process.Pid)-before)
}

// changes are what is watched, and how it changes.
type changes struct {
	*replicas
	objects []string   // ids of containers
	rows    [][]string // ids of their allocations
}

func newChanges(b *testing.B, r *replicas) *changes {
	b.Helper()
	c := &changes{r, make([]string, watchedObjects), make([][]string, watchedObjects)}
	for i := range c.objects {
		c.objects[i], c.rows[i] = r.container(fmt.Sprintf("130-%d", 600+i), 5)
	}
	return c
}

// commit makes a change, and tells of it by Redis as a replica does. It gives the
// time between the two.
func (c *changes) commit(b *testing.B, a *audience, object, number int) time.Time {
	b.Helper()
	id := c.rows[object][number/watchedObjects%len(c.rows[object])]
	at := time.Now().UTC().Truncate(time.Microsecond)
	if err := c.store.WithTx(c.ctx, func(tx *store.Tx) error {
		return tx.Allocation.UpdateOneID(id).SetAccesses(number).SetLastAccessAt(at).Exec(c.ctx)
	}); err != nil {
		b.Fatal(err)
	}
	told := time.Now()
	a.sent[number].Store(told.UnixNano())
	if err := c.bus.Publish(c.ctx, event.Allocations, c.objects[object]); err != nil {
		b.Fatal(err)
	}
	return told
}

// feed does for Centrifugo what an application that uses it has to do at least: it
// hears of each change by Redis, reads by one prepared statement what changed and
// the figures, as a superuser, and hands the message over. It asks nobody who may
// see it.
func (c *changes) feed(b *testing.B, publish func(object int, message string) error) {
	b.Helper()
	db, err := sql.Open("postgres", testenv.Superuser(b, c.dsn))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	read, err := db.PrepareContext(b.Context(), `SELECT a.id, a."user", a.application, a.accesses, a.last_access_at, a.state,
		(SELECT count(*) FROM allocations t WHERE t.container_id = a.container_id AND t.state = 'ACTIVE')
		FROM allocations a WHERE a.container_id = $1 AND a.last_access_at IS NOT NULL ORDER BY a.last_access_at DESC LIMIT 1`)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	var fed sync.WaitGroup
	b.Cleanup(func() {
		cancel()
		fed.Wait()
	})
	ear, err := newBus(b, c.redis).Listen(ctx, event.Allocations)
	if err != nil {
		b.Fatal(err)
	}
	fed.Go(func() {
		for range ear.C() {
			signals, _ := ear.Take()
			for _, s := range signals {
				var id, user, application, state string
				var accesses, taken int
				var at time.Time
				err := read.QueryRowContext(ctx, s.Key).Scan(&id, &user, &application, &accesses, &at, &state, &taken)
				if err == nil {
					err = publish(slices.Index(c.objects, s.Key), finished(accesses, id, user, application, accesses, at, state, taken))
				}
				if err != nil && ctx.Err() == nil {
					b.Error(err)
				}
			}
		}
	})
}

// finished is a message as large as ours.
func finished(sequence int, id, user, application string, accesses int, at time.Time, state string, taken int) string {
	return fmt.Sprintf(`{"data":{"allocationsChanged":{"sequence":%d,"since":%d,"snapshot":false,"position":"ABCDEFGHIJKL.%d","total":1000,"taken":%d,"free":%d,`+
		`"upserted":[{"id":%q,"user":%q,"application":%q,"accesses":%d,"lastAccessAt":%q,"state":%q}],"removed":[]}}}`,
		sequence, sequence-1, sequence, taken, 1000-taken, id, user, application, accesses, at.Format(time.RFC3339Nano), state)
}

// centrifugo starts one, or skips the benchmark.
func centrifugo(b *testing.B) (url string, pid int) {
	b.Helper()
	program, err := exec.LookPath("centrifugo")
	if err != nil {
		b.Skip("Centrifugo is not installed (put v5.4.9, built from its Go module, into PATH): it is not measured")
	}
	dir, rdb := b.TempDir(), testenv.Redis(b)
	host, port, _ := strings.Cut(testenv.FreeAddr(b), ":")
	config := filepath.Join(dir, "config.json")
	settings, err := json.Marshal(map[string]any{
		"address": host, "port": port, "engine": "redis", "redis_address": rdb.URL(), "api_insecure": true, "client_insecure": true,
		"allow_anonymous_connect_without_token": true, "allow_subscribe_for_client": true, "allow_subscribe_for_anonymous": true,
		"history_size": 256, "history_ttl": "600s", "force_recovery": true, "log_level": "error",
	})
	if err == nil {
		err = os.WriteFile(config, settings, 0o600)
	}
	if err != nil {
		b.Fatal(err)
	}
	said, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = said.Close() })
	cmd := exec.Command(program, "--config", config, "--health")
	cmd.Stdout, cmd.Stderr = said, said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	url = "http://" + host + ":" + port
	testenv.Eventually(b, 20*time.Second, func() error {
		res, err := http.Get(url + "/health")
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("%s", res.Status)
		}
		return nil
	})
	return url, cmd.Process.Pid
}

func benchCentrifugo(b *testing.B, subscribers int, fed bool) {
	url, pid := centrifugo(b)
	a := newAudience()
	var c *changes
	if fed {
		c = newChanges(b, newReplicas(b, 0))
	}
	subscribe := func(ctx context.Context, c *websocket.Conn, i int) error {
		if err := c.Write(ctx, websocket.MessageText, []byte(`{"id":1,"connect":{}}`)); err != nil {
			return err
		}
		if _, _, err := c.Read(ctx); err != nil {
			return err
		}
		if err := c.Write(ctx, websocket.MessageText, fmt.Appendf(nil, `{"id":2,"subscribe":{"channel":"c%d"}}`, i%watchedObjects)); err != nil {
			return err
		}
		_, answer, err := c.Read(ctx)
		if err == nil && !bytes.Contains(answer, []byte(`"subscribe"`)) {
			err = fmt.Errorf("subscribing was answered by %.300s", answer)
		}
		return err
	}
	pong := func(data []byte) []byte {
		if string(bytes.TrimSpace(data)) == "{}" {
			return []byte("{}")
		}
		return nil
	}
	at := "ws" + strings.TrimPrefix(url, "http") + "/connection/websocket"
	a.join(b, watchedObjects, at, nil, subscribe, pong)
	before := resident(b, pid)
	a.join(b, subscribers-watchedObjects, at, nil, subscribe, pong)
	client := &http.Client{}
	publish := func(object int, message string) error {
		res, err := client.Post(url+"/api/publish", "application/json", strings.NewReader(fmt.Sprintf(`{"channel":"c%d","data":%s}`, object, message)))
		if err != nil {
			return err
		}
		said, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err == nil && (res.StatusCode != http.StatusOK || bytes.Contains(said, []byte(`"error"`))) {
			err = fmt.Errorf("publishing was answered by %s %s", res.Status, said)
		}
		return err
	}
	if fed {
		c.feed(b, publish)
		a.run(b, pid, func(object, number int) time.Time { return c.commit(b, a, object, number) })
	} else {
		a.run(b, pid, func(object, number int) time.Time {
			id := fmt.Sprintf("alc_019ab000-0000-7000-8000-%012d", object)
			told := time.Now()
			a.sent[number].Store(told.UnixNano())
			if err := publish(object, finished(number, id, "ada", "charts", number, told.UTC(), "ACTIVE", 5)); err != nil {
				b.Fatal(err)
			}
			return told
		})
	}
	a.report(b, subscribers, resident(b, pid)-before)
}
