package client

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
)

const (
	// mostFound bounds the servers that DNS may name.
	mostFound = 16
	// askAgain is how soon DNS may be asked again for what it told before.
	askAgain = 2 * time.Second
)

// servers are the license servers that a client knows: those that it was given,
// and those that DNS names. All calls begin with the one that answered last.
type servers struct {
	cfg Config
	log *slog.Logger
	now clock

	asking  chan struct{}   // holds one: who asks DNS
	life    context.Context // of who asks it beside calls; ends with close
	end     context.CancelFunc
	running sync.WaitGroup

	mu     sync.Mutex
	list   []source
	closed bool
	last   *server // that answered
}

// source is one address of the configuration: a server, or a domain whose
// servers DNS names.
type source struct {
	known []*server
	zone  *zone // nil: known is all there is
}

// zone is a domain that DNS is asked for.
type zone struct {
	domain string
	scheme string
	rest   string // path and pins of its servers' addresses
	anyone bool   // its servers need not be in it: their keys are known, or the network is trusted
	told   bool   // DNS has answered
	doubt  bool   // all of its servers have failed since
	at     instant
	failed *Error // why DNS told nothing
}

// newServers checks the addresses; it asks nobody.
func newServers(cfg Config, now clock) (*servers, error) {
	addresses := cfg.Servers
	if len(addresses) == 0 {
		addresses = strings.FieldsFunc(os.Getenv("QUORATE_SERVER"), func(r rune) bool { return r == ',' || r == ' ' })
	}
	if len(addresses) == 0 {
		return nil, &Error{
			Code: CodeInvalidInput, Message: "no license server is named",
			Fix: "set Servers, or QUORATE_SERVER, to at least one address, for example https://licenses.example.com:7400?pin=sha256:…",
		}
	}
	cfg.Servers = addresses
	l := &servers{cfg: cfg, log: cfg.Logger, now: now, asking: make(chan struct{}, 1)}
	for _, address := range addresses {
		s, err := newSource(address, cfg)
		if err != nil {
			return nil, err
		}
		l.list = append(l.list, s)
	}
	l.life, l.end = context.WithCancel(context.Background())
	return l, nil
}

func newSource(address string, cfg Config) (source, error) {
	scheme, rest, _ := strings.Cut(address, "://")
	z := &zone{}
	switch scheme {
	case "srv":
		z.scheme = "https"
	case "srv+http":
		z.scheme, z.anyone = "http", true
	default:
		s, err := newServer(address, cfg)
		return source{known: []*server{s}}, err
	}
	// Any server's address with the same path and pins tells whether they are right.
	if _, err := newServer(z.scheme+"://"+rest, cfg); err != nil {
		e := failure(err)
		return source{}, &Error{Code: e.Code, Message: e.Message, Fix: "write it as srv://DOMAIN?pin=sha256:… or srv+http://DOMAIN"}
	}
	u, err := url.Parse(z.scheme + "://" + rest)
	if err != nil || u.Port() != "" || strings.Contains(u.Host, ":") || len(u.Host) > 255 {
		return source{}, &Error{
			Code: CodeInvalidInput, Message: fmt.Sprintf("%q has no domain: DNS tells the servers' ports", address),
			Fix: "write it as srv://DOMAIN?pin=sha256:… or srv+http://DOMAIN",
		}
	}
	z.domain = strings.TrimSuffix(u.Host, ".")
	z.anyone = z.anyone || u.Query().Has("pin")
	u.Scheme, u.Host = "", ""
	z.rest = strings.TrimPrefix(u.String(), "//")
	return source{zone: z}, nil
}

// order gives the servers as they are to be asked. It has DNS asked where it has
// not told, or all that it told of have failed.
func (l *servers) order(ctx context.Context) ([]*server, *Error) {
	l.resolve(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []*server
	var failed *Error
	for _, s := range l.list {
		all = append(all, s.known...)
		if s.zone != nil && failed == nil {
			failed = s.zone.failed
		}
	}
	if len(all) == 0 {
		if failed == nil { // another call is asking
			failed = &Error{Code: CodeUnavailable, Message: "DNS has not told the license servers yet", Fix: "check the connection to the DNS servers"}
		}
		return nil, failed
	}
	for i, s := range all {
		if s == l.last {
			copy(all[1:], all[:i])
			all[0] = s
			break
		}
	}
	return all, nil
}

// count is how many servers are known, at least one.
func (l *servers) count() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.list {
		n += len(s.known)
	}
	return max(n, 1)
}

func (l *servers) answered(s *server) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = s
}

// failed notes that none of the servers was the one to ask.
func (l *servers) failed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.list {
		if s.zone != nil {
			s.zone.doubt = true
		}
	}
}

func (l *servers) close() {
	l.mu.Lock()
	l.closed = true
	for _, s := range l.list {
		for _, k := range s.known {
			k.http.Close()
		}
	}
	l.mu.Unlock()
	l.end()
	l.running.Wait()
}

// due gives a domain that DNS is to be asked for.
func (l *servers) due() (at int, z zone, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, s := range l.list {
		if s.zone != nil && (!s.zone.told || s.zone.doubt) && (s.zone.at == instant{} || l.now().since(s.zone.at) >= askAgain) {
			return i, *s.zone, true
		}
	}
	return 0, zone{}, false
}

// resolve has DNS asked where that is due. It waits for the answer only while no
// server is known: those that are known are asked meanwhile.
func (l *servers) resolve(ctx context.Context) {
	if _, _, ok := l.due(); !ok {
		return
	}
	if l.known() {
		select {
		case l.asking <- struct{}{}:
			l.spawn()
		default: // somebody asks already
		}
		return
	}
	select {
	case <-ctx.Done():
		return
	case l.asking <- struct{}{}:
	}
	l.ask(ctx)
}

// spawn asks beside the calls, until close.
func (l *servers) spawn() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		<-l.asking
		return
	}
	l.running.Go(func() { l.ask(l.life) })
}

// ask asks DNS for all that is due. The caller has asking, and has it no more then.
func (l *servers) ask(ctx context.Context) {
	defer func() { <-l.asking }()
	for {
		at, z, ok := l.due() // another call may have asked meanwhile
		if !ok {
			return
		}
		ask, cancel := context.WithTimeout(ctx, l.cfg.Attempt)
		found, err := z.lookUp(ask, l.cfg)
		cancel()
		l.tell(at, found, err, ctx.Err() != nil)
		if ctx.Err() != nil {
			return
		}
	}
}

func (l *servers) known() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.list {
		if len(s.known) > 0 {
			return true
		}
	}
	return false
}

// tell takes in what DNS told. When it told nothing what it told before stays.
func (l *servers) tell(at int, found []*server, err *Error, cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	z := l.list[at].zone
	if cut && err != nil {
		return // the caller's time was over, which says nothing
	}
	z.at, z.failed = l.now(), err
	if err != nil {
		l.log.Warn("DNS tells no license servers", "domain", z.domain, "error", err)
		return
	}
	z.told, z.doubt = true, false
	before := l.list[at].known
	for i, s := range found {
		for _, old := range before {
			if old.name == s.name { // it keeps its connections
				found[i] = old
			}
		}
		if l.closed {
			s.http.Close()
		}
	}
	for _, old := range before {
		kept := false
		for _, s := range found {
			kept = kept || s == old
		}
		if !kept {
			old.http.Close()
		}
	}
	l.list[at].known = found
}

// lookUp asks DNS. The servers come by their priorities, and among one priority
// at random by their weights, as RFC 2782 has it.
func (z zone) lookUp(ctx context.Context, cfg Config) ([]*server, *Error) {
	resolver := cfg.Resolver
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	none := func(format string, args ...any) *Error {
		return &Error{
			Code: CodeUnavailable, Message: fmt.Sprintf("DNS names no license server for %s: ", z.domain) + fmt.Sprintf(format, args...),
			Fix: fmt.Sprintf("check the SRV records at _quorate._tcp.%s, and the connection to the DNS servers", z.domain),
		}
	}
	_, records, err := resolver.LookupSRV(ctx, "quorate", "tcp", z.domain)
	if err != nil && len(records) == 0 { // with some that are bad it gives the others
		return nil, none("%v", err)
	}
	if len(records) == 1 && records[0].Target == "." {
		return nil, none("it says that there is none")
	}
	var found []*server
	for _, r := range records[:min(len(records), mostFound)] {
		host := strings.TrimSuffix(r.Target, ".")
		if !z.anyone && !strings.HasSuffix(strings.ToLower("."+host), strings.ToLower("."+z.domain)) {
			cfg.Logger.Warn("a license server of another domain is not taken without a pin", "domain", z.domain, "server", host)
			continue
		}
		s, err := newServer(z.scheme+"://"+net.JoinHostPort(host, strconv.Itoa(int(r.Port)))+z.rest, cfg)
		if err != nil {
			cfg.Logger.Warn("DNS names what is no license server", "domain", z.domain, "server", host, "error", err)
			continue
		}
		found = append(found, s)
	}
	if len(found) == 0 {
		return nil, none("none of its %s can be taken", count(len(records), "record"))
	}
	return found, nil
}

// server is one license server.
type server struct {
	name string // for people: scheme and host
	http *rpc.Client
	api  quoratev1connect.LicenseServiceClient
	// answers counts calls that were answered, whatever with.
	answers atomic.Uint64
}

func badServer(address, what string) error {
	return &Error{
		Code:    CodeInvalidInput,
		Message: fmt.Sprintf("%q is not a license server's address: %s", address, what),
		Fix:     "write it as https://host:port?pin=sha256:… or http://host:port, or srv://DOMAIN",
	}
}

func newServer(address string, c Config) (*server, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return nil, badServer(address, "it can't be read")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, badServer(address, "it starts with neither https:// nor http://")
	case u.Hostname() == "":
		return nil, badServer(address, "it has no host")
	case u.User != nil || u.Fragment != "":
		return nil, badServer(address, "a user and a fragment have no meaning here")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, badServer(address, "what stands behind the question mark can't be read")
	}
	pins := query["pin"]
	delete(query, "pin")
	switch {
	case len(query) > 0:
		return nil, badServer(address, "only pin may stand behind the question mark")
	case len(pins) > 0 && u.Scheme != "https":
		return nil, badServer(address, "a pin needs https")
	}
	for _, pin := range pins {
		if err := rpc.CheckPin(pin); err != nil {
			return nil, failure(err)
		}
	}
	config := rpc.ClientConfig{Dial: c.DialContext}
	if len(pins) > 0 {
		config.TLS = rpc.ClientTLS(nil, pins)
	}
	base := u.Scheme + "://" + u.Host
	s := &server{name: base, http: rpc.NewClient(config)}
	s.api = quoratev1connect.NewLicenseServiceClient(s.http, base+strings.TrimSuffix(u.Path, "/"), rpc.ClientOptions())
	return s, nil
}
