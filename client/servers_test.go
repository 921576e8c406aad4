package client

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
)

// srv is a service record.
type srv struct {
	priority, weight, port uint16
	target                 string
}

// zoneServer is a DNS server for the domain licenses.test, over UDP: its service
// records, and 127.0.0.1 for every host.
type zoneServer struct {
	conn net.PacketConn

	mu      sync.Mutex
	records []srv
	silent  bool
	asked   atomic.Int32 // for service records
}

func newZoneServer(t *testing.T, records ...srv) *zoneServer {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	z := &zoneServer{conn: conn, records: records}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if answer := z.answer(buf[:n]); answer != nil {
				_, _ = conn.WriteTo(answer, from)
			}
		}
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
	return z
}

func (z *zoneServer) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", z.conn.LocalAddr().String())
	}}
}

func (z *zoneServer) set(f func()) {
	z.mu.Lock()
	defer z.mu.Unlock()
	f()
}

// answer speaks RFC 1035 as far as it is needed here.
func (z *zoneServer) answer(question []byte) []byte {
	const (
		header                  = 12
		typeA, typeSRV, inClass = 1, 33, 1
		response, nameError     = 0x8580, 3
	)
	var labels []string
	at := header
	for at < len(question) && question[at] != 0 {
		labels = append(labels, string(question[at+1:at+1+int(question[at])]))
		at += 1 + int(question[at])
	}
	kind := binary.BigEndian.Uint16(question[at+1:])
	end := at + 5
	name := strings.ToLower(strings.Join(labels, "."))
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.silent && kind == typeSRV { // hosts are in a cache, say
		return nil
	}
	var answers [][]byte
	code := uint16(0)
	switch {
	case kind == typeSRV:
		z.asked.Add(1)
		if name != "_quorate._tcp.licenses.test" || len(z.records) == 0 {
			code = nameError
			break
		}
		for _, r := range z.records {
			data := binary.BigEndian.AppendUint16(nil, r.priority)
			data = binary.BigEndian.AppendUint16(data, r.weight)
			data = binary.BigEndian.AppendUint16(data, r.port)
			for _, label := range strings.FieldsFunc(r.target, func(c rune) bool { return c == '.' }) {
				data = append(append(data, byte(len(label))), label...)
			}
			answers = append(answers, append(data, 0))
		}
	case kind == typeA:
		answers = append(answers, []byte{127, 0, 0, 1})
	}
	out := append([]byte(nil), question[:2]...)
	out = binary.BigEndian.AppendUint16(out, response|code)
	out = binary.BigEndian.AppendUint16(out, 1)
	out = binary.BigEndian.AppendUint16(out, uint16(len(answers)))
	out = append(out, 0, 0, 0, 0)
	out = append(out, question[header:end]...)
	for _, data := range answers {
		out = append(out, 0xc0, header) // the question's name
		out = binary.BigEndian.AppendUint16(out, kind)
		out = binary.BigEndian.AppendUint16(out, inClass)
		out = binary.BigEndian.AppendUint32(out, 0)
		out = binary.BigEndian.AppendUint16(out, uint16(len(data)))
		out = append(out, data...)
	}
	return out
}

// counted is a license server that counts who asks it.
type counted struct {
	scripted
	accesses atomic.Int32
	server   *http.Server
	port     uint16
}

func (s *counted) Access(ctx context.Context, r *connect.Request[quoratev1.AccessRequest]) (*connect.Response[quoratev1.AccessResponse], error) {
	s.accesses.Add(1)
	return s.scripted.Access(ctx, r)
}

func newCounted(t *testing.T) *counted { return countedAt(t, "127.0.0.1:0") }

// again is the server started again at its address.
func (s *counted) again(t *testing.T) *counted {
	return countedAt(t, net.JoinHostPort("127.0.0.1", strconv.Itoa(int(s.port))))
}

func countedAt(t *testing.T, addr string) *counted {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	n, _ := strconv.ParseUint(port, 10, 16)
	s := &counted{port: uint16(n)}
	mux := http.NewServeMux()
	mux.Handle(quoratev1connect.NewLicenseServiceHandler(s))
	s.server = &http.Server{Handler: mux, ReadHeaderTimeout: time.Second}
	go func() { _ = s.server.Serve(ln) }()
	t.Cleanup(func() { _ = s.server.Close() })
	return s
}

func found(t *testing.T, z *zoneServer, address string) *Client {
	t.Helper()
	c, err := Open(t.Context(), Config{Servers: []string{address}, Resolver: z.resolver(), Wait: 5 * time.Second, Attempt: time.Second, Station: "s"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestServersByDNS(t *testing.T) {
	first, second, other := newCounted(t), newCounted(t), newCounted(t)
	z := newZoneServer(t, srv{20, 0, second.port, "b.licenses.test"}, srv{10, 0, first.port, "a.licenses.test"})
	c := found(t, z, "srv+http://licenses.test")
	if z.asked.Load() != 0 {
		t.Error("Open asks DNS")
	}
	clocks := &shifted{real: c.now}
	c.now = clocks.read
	for range 3 {
		if _, err := c.Access(t.Context(), "6000010:14"); err != nil {
			t.Fatal(err)
		}
	}
	if first.accesses.Load() != 3 || second.accesses.Load() != 0 || z.asked.Load() != 1 {
		t.Errorf("%d and %d accesses, DNS asked %d times", first.accesses.Load(), second.accesses.Load(), z.asked.Load())
	}

	// The next priority takes over, without asking DNS again.
	_ = first.server.Close()
	for range 2 {
		if _, err := c.Access(t.Context(), "6000010:14"); err != nil {
			t.Fatal(err)
		}
	}
	if second.accesses.Load() != 2 || z.asked.Load() != 1 {
		t.Errorf("%d accesses, DNS asked %d times", second.accesses.Load(), z.asked.Load())
	}

	// All are gone: DNS tells where they are now. What it told before stays
	// while it doesn't answer.
	_ = second.server.Close()
	z.set(func() { z.silent = true })
	clocks.shift(time.Minute)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	_, err := c.Access(ctx, "6000010:14")
	cancel()
	if CodeOf(err) != CodeUnavailable {
		t.Errorf("nobody is there: %v", err)
	}
	second = second.again(t)
	clocks.shift(time.Minute)
	ctx, cancel = context.WithTimeout(t.Context(), c.cfg.Attempt/2) // DNS has as long as an attempt
	if _, err := c.Access(ctx, "6000010:14"); err != nil || second.accesses.Load() == 0 {
		t.Errorf("back where it was: %v, %d accesses", err, second.accesses.Load())
	}
	cancel()
	_ = second.server.Close()
	z.set(func() { z.silent, z.records = false, []srv{{10, 0, other.port, "c.licenses.test"}} })
	c.servers.asking <- struct{}{} // the question that got no answer is over
	<-c.servers.asking
	clocks.shift(time.Minute)
	if _, err := c.Access(t.Context(), "6000010:14"); err != nil || other.accesses.Load() == 0 {
		t.Errorf("%v, %d accesses", err, other.accesses.Load())
	}
}

// Among servers of one priority the weights decide, as RFC 2782 has it.
func TestWeightsOfDNS(t *testing.T) {
	heavy, light, later := newCounted(t), newCounted(t), newCounted(t)
	z := newZoneServer(t, srv{1, 30, heavy.port, "a.licenses.test"}, srv{1, 10, light.port, "b.licenses.test"}, srv{2, 9999, later.port, "c.licenses.test"})
	const programs = 200
	for range programs {
		c := found(t, z, "srv+http://licenses.test")
		if _, err := c.Access(t.Context(), "6000010:14"); err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
	}
	// 150 are expected; 6 standard deviations of 6.1 are 37.
	if n := heavy.accesses.Load(); n < 113 || n > 187 || later.accesses.Load() != 0 || n+light.accesses.Load() != programs {
		t.Errorf("%d, %d and %d accesses", n, light.accesses.Load(), later.accesses.Load())
	}
}

func TestWhatDNSMayTell(t *testing.T) {
	pin := "?pin=sha256:" + strings.Repeat("A", 43)
	many := make([]srv, 20)
	for i := range many {
		many[i] = srv{1, 1, uint16(i + 1), fmt.Sprintf("h%d.licenses.test", i)}
	}
	for name, tt := range map[string]struct {
		address string
		records []srv
		want    string // what is wrong, or the servers' addresses
	}{
		"nothing":                      {"srv+http://licenses.test", nil, "no such host"},
		"that there is none":           {"srv+http://licenses.test", []srv{{0, 0, 0, "."}}, "that there is none"},
		"another domain, trusted":      {"srv+http://licenses.test", []srv{{1, 1, 80, "elsewhere.example"}}, "http://elsewhere.example:80"},
		"another domain, pinned":       {"srv://licenses.test/q" + pin, []srv{{1, 1, 7443, "elsewhere.example"}}, "https://elsewhere.example:7443"},
		"another domain, not pinned":   {"srv://licenses.test", []srv{{1, 1, 7443, "elsewhere.example"}}, "none of its 1 record"},
		"a domain that ends like it":   {"srv://licenses.test", []srv{{1, 1, 7443, "a.badlicenses.test"}}, "none of its 1 record"},
		"servers in it":                {"srv://licenses.test.", []srv{{1, 1, 7443, "a.LICENSES.test"}, {2, 1, 443, "x"}}, "https://a.LICENSES.test:7443"},
		"the domain itself":            {"srv://licenses.test", []srv{{1, 1, 7443, "licenses.test"}}, "https://licenses.test:7443"},
		"more servers than are needed": {"srv+http://licenses.test", many, "16"},
	} {
		t.Run(name, func(t *testing.T) {
			z := newZoneServer(t, tt.records...)
			c := found(t, z, tt.address)
			list, err := c.servers.order(t.Context())
			var names []string
			for _, s := range list {
				names = append(names, s.name)
			}
			got := strings.Join(names, " ")
			if len(names) > 9 {
				got = strconv.Itoa(len(names))
			}
			if err != nil {
				got = err.Error()
				if err.Code != CodeUnavailable || !strings.Contains(err.Fix, "_quorate._tcp.licenses.test") {
					t.Errorf("%+v", err)
				}
			}
			if tt.want == got || err != nil && strings.Contains(got, tt.want) {
				return
			}
			t.Errorf("%s, want %s", got, tt.want)
		})
	}
}

// A call whose time is over leaves no mark: the next one asks.
func TestDNSThatIsSlow(t *testing.T) {
	s := newCounted(t)
	z := newZoneServer(t, srv{1, 1, s.port, "a.licenses.test"})
	z.set(func() { z.silent = true })
	c := found(t, z, "srv+http://licenses.test")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := c.Access(ctx, "6000010:14")
	if CodeOf(err) != CodeUnavailable || !strings.Contains(err.Error(), "DNS") {
		t.Errorf("%v", err)
	}
	z.set(func() { z.silent = false })
	if _, err := c.Access(t.Context(), "6000010:14"); err != nil {
		t.Error(err)
	}
}

// The environment names servers and the station where the program doesn't.
func TestEnvironment(t *testing.T) {
	s := newCounted(t)
	z := newZoneServer(t, srv{1, 1, s.port, "a.licenses.test"})
	t.Setenv("QUORATE_SERVER", "http://127.0.0.1:1,srv+http://licenses.test")
	t.Setenv("QUORATE_STATION", "desk 7")
	c, err := Open(t.Context(), Config{Resolver: z.resolver()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Access(t.Context(), "6000010:14"); err != nil || c.cfg.Station != "desk 7" {
		t.Errorf("%v, station %q", err, c.cfg.Station)
	}
	t.Setenv("QUORATE_SERVER", "nowhere")
	if _, err := Open(t.Context(), Config{}); CodeOf(err) != CodeInvalidInput {
		t.Errorf("%v", err)
	}
	if c, err := Open(t.Context(), Config{Servers: []string{"http://a"}, Station: "mine"}); err != nil || c.cfg.Station != "mine" {
		t.Errorf("%v, %v", c, err)
	}
	t.Setenv("QUORATE_STATION", "")
	if station := (Config{}).withDefaults().Station; len(station) < 33 || station != (Config{}).withDefaults().Station {
		t.Errorf("station %q", station)
	}
}
