package roles

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/cmd/quorate/internal/filetools"
	"github.com/quorate/quorate/cmd/quorate/internal/roles/monitoring"
	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/quorumlease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/licenseserver"
	"github.com/quorate/quorate/internal/licenseserver/arbiter"
	"github.com/quorate/quorate/internal/licenseserver/source"
	"github.com/quorate/quorate/internal/link"
	"github.com/quorate/quorate/internal/offline"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/telemetry"
	"github.com/quorate/quorate/internal/telemetry/calls"
	"github.com/quorate/quorate/internal/tmr"
)

// programFlags are what a license server and a TMR server have in common:
// where programs reach it and how it hands out handles.
type programFlags struct {
	Listen     string        `help:"Address for programs." default:"127.0.0.1:7400" env:"QUORATE_LISTEN"`
	Plain      bool          `help:"Serve programs without TLS: only for a trusted network or behind a proxy." env:"QUORATE_PLAIN"`
	Key        string        `help:"This server's TLS key; created when it is not there." default:"tls.key" env:"QUORATE_KEY"`
	Lease      time.Duration `help:"How long a handle lives without a renewal." default:"60s" env:"QUORATE_LEASE"`
	AdminToken string        `help:"Token that quorate release needs, and quorate ls to see users; without one this machine's users are administrators." env:"QUORATE_ADMIN_TOKEN"`
	Disclose   string        `help:"What programs and users are told of who else has a license: none, hosts (and which are idle), or users too. Administrators see all." enum:"none,hosts,users" default:"hosts" env:"QUORATE_DISCLOSE"`
	Ask        string        `help:"Who may ask a user to release a license: admins or everyone." enum:"admins,everyone" default:"admins" env:"QUORATE_ASK"`
	MinAge     string        `help:"How old a handle must be to be removed, for example 10m." name:"min-remove-age" default:"0s" env:"QUORATE_MIN_REMOVE_AGE"`
	Waiting    int           `help:"How many requests of one computer may wait for licenses, 1 to 256." name:"most-waiting" default:"64" env:"QUORATE_MOST_WAITING"`
	Handles    int           `help:"How many handles that cost nothing one computer may have: those of no user limit and of station share." name:"most-handles" default:"10000" env:"QUORATE_MOST_HANDLES"`
	JSON       bool          `help:"Write one JSON line when ready." name:"json"`
	ruleFlags
}

// policy is what a server's flags say of those who use it.
type policy struct {
	Disclose     licenseserver.Disclosure
	AskEveryone  bool
	MinRemoveAge time.Duration
	BorrowMost   time.Duration // of a plain license server
	// MostWaiting and MostHandles are of one computer; 0: the defaults.
	MostWaiting, MostHandles int
}

func (f programFlags) policy() (policy, error) {
	age, err := cli.ParseLong(f.MinAge)
	if err != nil {
		return policy{}, err
	}
	return policy{Disclose: licenseserver.Disclosure(f.Disclose), AskEveryone: f.Ask == "everyone", MinRemoveAge: age, MostWaiting: f.Waiting, MostHandles: f.Handles}, nil
}

// TMR is a TMR server.
type TMR struct {
	programFlags
	linkFlags
	monitorFlags
	Name       string        `help:"This server's name, unique in its group." required:"" env:"QUORATE_NAME"`
	Virtual    string        `help:"Serial number of the virtual container." required:"" placeholder:"131-…" env:"QUORATE_VIRTUAL"`
	Activation string        `help:"The group's activation id: backends with another one are not taken." name:"activation-id" env:"QUORATE_ACTIVATION_ID"`
	Backend    []string      `help:"The three backends in order, each as SERIAL@https://HOST:PORT?pin=sha256:…" required:"" sep:" " env:"QUORATE_BACKENDS"`
	TokenKey   string        `help:"The group's token key (quorate key token): the same file on both TMR servers." required:"" env:"QUORATE_TOKEN_KEY"`
	RoleFile   string        `help:"File that keepalived's notify script writes MASTER or BACKUP into. Without it the backends elect one of the two servers." env:"QUORATE_ROLE_FILE"`
	NewGroup   bool          `help:"The group has never handed out a license: without this, three empty journals of seats count as lost, and handles are given out only once those from before have ended." env:"QUORATE_NEW_GROUP"`
	Grace      time.Duration `help:"How long a grace period takes at least, in which two journals of seats were lost and handles are honoured by their tokens alone. After --lease was lowered it must be as long as the lease before, until all handles of then have ended." default:"5m" env:"QUORATE_GRACE"`
	Term       time.Duration `help:"How long an election won holds without being confirmed." default:"2s"`
	Patience   time.Duration `help:"How long a backend may be silent before it counts as absent." default:"400ms"`
}

// Help has the examples.
func (TMR) Help() string {
	return `Example (one of the pair; both have the same token key):
  quorate tmr --name tmr-a --virtual 131-4837572 --token-key token.key \
      --backend '130-1874829@https://10.0.0.21:7500?pin=sha256:…' \
      --backend '130-27845973@https://10.0.0.22:7500?pin=sha256:…' \
      --backend '130-3879234@https://10.0.0.23:7500?pin=sha256:…' \
      --role-file /run/quorate/role \
      --platform https://licenses.example.com --link-token /etc/quorate/link.token
With --enroll 7KQ4M-… in place of the file, once, the server makes its own link token.`
}

// Run serves until ctx ends.
func (c *TMR) Run(ctx context.Context, std cli.Streams, logger *slog.Logger, build Build) error {
	logger = slog.New(telemetry.LogHandler(logger.Handler()))
	token, err := c.token()
	if err != nil {
		return err
	}
	cfg := tmrConfig{
		Name: c.Name, Listen: c.Listen, Plain: c.Plain, Lease: c.Lease, AdminToken: c.AdminToken,
		Platform: c.Platform, LinkToken: token, Version: build.Version, Term: c.Term, Patience: c.Patience, RoleFile: c.RoleFile, NewGroup: c.NewGroup, Grace: c.Grace, Logger: logger,
	}
	if c.Grace < 0 || c.Grace > 2*licenseserver.LongestLease {
		return license.Errorf(license.CodeInvalidInput, "set --grace to some minutes", "a grace period of %s is out of range", c.Grace)
	}
	if cfg.Policy, err = c.policy(); err != nil {
		return err
	}
	if cfg.Virtual, err = license.ParseSerial(c.Virtual); err != nil {
		return err
	}
	if cfg.Rules, err = c.book(cfg.Virtual, c.Platform, logger); err != nil {
		return err
	}
	if c.Activation != "" {
		if cfg.ActivationID, err = filetools.ParseActivationID(c.Activation); err != nil {
			return err
		}
	}
	if len(c.Backend) != license.Backends {
		return license.Errorf(license.CodeInvalidInput, "give --backend three times, in the group's order", "a TMR group has three backends, not %d", len(c.Backend))
	}
	for i, s := range c.Backend {
		if cfg.Backends[i], err = parseBackend(i+1, s); err != nil {
			return err
		}
	}
	if cfg.Key, err = rpc.LoadOrCreateKey(c.Key); err != nil {
		return err
	}
	seed, err := readSeed(c.TokenKey, "token key", false)
	if err != nil {
		return err
	}
	cfg.Token = seal.NewSigner(seed)
	if token == "" && c.Platform != "" {
		if cfg.LinkToken, err = c.enroll(ctx, c.Name, cfg.Virtual, logger); err != nil {
			return err
		}
	}
	if cfg.Monitoring, err = monitoring.Open(ctx, "tmr", build.Version, logger); err != nil {
		return err
	}
	defer cfg.Monitoring.Close()
	s, err := startTMR(ctx, cfg)
	if err != nil {
		return err
	}
	defer s.Stop()
	if err := c.show(cfg.Monitoring, s.canServe); err != nil {
		return err
	}
	if err := announce(std.Out, c.JSON, cfg.Monitoring.Told(map[string]string{"licenseServer": s.URL(), "name": c.Name, "pin": cfg.Key.Pin()}),
		"TMR server "+c.Name+" serves programs on "+s.URL()); err != nil {
		return err
	}
	return s.Wait(ctx)
}

// parseBackend reads SERIAL@URL?pin=PIN.
func parseBackend(position int, s string) (tmr.BackendConfig, error) {
	name, address, ok := strings.Cut(s, "@")
	serial, err := license.ParseSerial(name)
	if !ok || err != nil {
		return tmr.BackendConfig{}, license.Errorf(license.CodeInvalidInput, "write it as SERIAL@https://HOST:PORT?pin=sha256:…", "%q is not a backend", s)
	}
	address, pin, ok := strings.Cut(address, "?pin=")
	if !ok || rpc.CheckPin(pin) != nil || !strings.HasPrefix(address, "https://") {
		return tmr.BackendConfig{}, license.Errorf(license.CodeInvalidInput,
			"write it as SERIAL@https://HOST:PORT?pin=sha256:…, with the pin that quorate key tls prints on that backend", "backend %d has no valid address and pin", position)
	}
	return tmr.BackendConfig{Position: position, Serial: serial, URL: address, Pin: pin}, nil
}

// tmrConfig is what a TMR server is made of.
type tmrConfig struct {
	Name    string
	Virtual license.Serial
	// ActivationID is what the group's containers have in common; all zero:
	// not checked.
	ActivationID [16]byte
	Backends     [license.Backends]tmr.BackendConfig
	Key          *rpc.Key
	Token        seal.Signer
	Listen       string
	Plain        bool
	Lease        time.Duration
	Term         time.Duration
	Patience     time.Duration
	RoleFile     string
	NewGroup     bool
	Grace        time.Duration // the least; 0: as long as the lease
	AdminToken   string
	Policy       policy
	Rules        *ruleBook
	Platform     string
	LinkToken    string
	Version      string // of this program
	Logger       *slog.Logger
	Monitoring   *monitoring.Monitoring // nil: nobody looks
}

// tmrServer is a running TMR server.
type tmrServer struct {
	group   *tmr.Group
	store   *quorumlease.Store // seats, in the backends' journals
	server  *licenseserver.Server
	agent   *link.Agent // nil without a platform
	face    *face
	stop    sync.Once
	unwatch func()
	handles handleCount
}

func startTMR(ctx context.Context, c tmrConfig) (_ *tmrServer, err error) {
	log := c.Logger.With("tmr", c.Name)
	if c.Monitoring == nil {
		c.Monitoring = monitoring.Unwatched(log)
	}
	s := &tmrServer{unwatch: c.Rules.watch()}
	defer func() {
		if err != nil {
			s.Stop()
		}
	}()
	if s.group, err = tmr.NewGroup(tmr.Config{Name: c.Name, Virtual: c.Virtual, ActivationID: c.ActivationID, Backends: c.Backends, Key: c.Key, Patience: c.Patience, Logger: log,
		Calls: []connect.ClientOption{calls.ClientOption()}}); err != nil {
		return nil, err
	}
	s.store = quorumlease.New(quorumlease.Options{Journals: s.journals, Logger: log, Skew: licenseserver.TokenSkew, Journal: journal.Options{
		NewGroup: c.NewGroup,
		// As long as a token from before can bring its handle back.
		Grace: max(c.Grace, lease.AfterClaim(cmp.Or(c.Lease, licenseserver.DefaultLease))+licenseserver.TokenSkew),
	}})
	var decides licenseserver.Arbiter = arbiter.Election{Elector: s.group, Group: c.Virtual, Owner: c.Name, Term: c.Term, Logger: log,
		Fit: s.fit,
	}
	if c.RoleFile != "" {
		decides = arbiter.RoleFile{Path: c.RoleFile, Logger: log}
	}
	s.server, err = licenseserver.New(licenseserver.Config{
		Name: c.Name, Source: source.NewVirtual(c.Virtual, s.group), Store: s.store, Arbiter: decides, Limits: c.Rules.Limits, Blocked: s.blocked, Vouch: s.store.Vouch,
		Signer: c.Token, Lease: c.Lease, AdminToken: c.AdminToken, Logger: log,
		Disclose: c.Policy.Disclose, AskEveryone: c.Policy.AskEveryone, MinRemoveAge: c.Policy.MinRemoveAge, MostWaiting: c.Policy.MostWaiting, MostHandles: c.Policy.MostHandles,
	})
	if err != nil {
		return nil, err
	}
	s.handles.server, s.handles.log = s.server, log
	c.Monitoring.WatchServer(s.server)
	c.Monitoring.WatchGroup(s.group, s.store, c.Virtual)
	routes := slices.Concat(
		handlers(s.server.Handler(c.Monitoring.Programs()...)),
		handlers(offline.Handler(offline.Config{
			Group: s.group, Virtual: c.Virtual, Leading: s.Leading, AdminToken: c.AdminToken, Logger: log,
		})),
		[]route{{"GET /readyz", http.HandlerFunc(s.ready)}, c.Rules.health(c.AdminToken)},
	)
	if s.face, err = listen(c.Listen, c.Plain, c.Key, log, routes); err != nil {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx) // Stop ends it, in order
	if err = s.group.Start(ctx); err != nil {
		return nil, err
	}
	if err = s.server.Start(ctx); err != nil {
		return nil, err
	}
	if c.Platform != "" {
		if s.agent, err = link.New(link.Config{
			Server: c.Name, URL: c.Platform, Token: c.LinkToken, Version: c.Version, Logger: log,
			Leading: func() (bool, uint64) {
				epoch, leading := s.server.Leading()
				return leading, epoch
			},
			Executor: s.group, Views: s.group,
			Remove: s.server.Remove, Ask: s.server.Ask, Handles: s.server.Living,
			Events: func(ctx context.Context, after uint64, most int) ([]lease.Event, error) {
				return s.store.Events(ctx, c.Virtual, after, most)
			},
			Clients: s.handles.count, Rules: c.Rules,
			Clock: groupClock{s.group}, Tracing: c.Monitoring.Tracing, Did: c.Monitoring.LinkWork(),
		}); err != nil {
			return nil, err
		}
		c.Monitoring.WatchLink(s.agent)
		if err = s.agent.Start(ctx); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// journals gives the backends' journals of seats.
func (s *tmrServer) journals(license.Serial) (all [license.Backends]journal.Backend, err error) {
	health := s.group.Health()
	for i, j := range s.group.Journals() {
		all[i] = journal.Backend{Name: health[i].Serial.String(), Journal: j}
	}
	return all, nil
}

// blocked is why nobody can hand out licenses, as far as this server sees.
func (s *tmrServer) blocked() error {
	if s.fit() {
		return nil
	}
	return license.Errorf(license.CodeNoMajority, "start the backends, or look at the network between them and the TMR servers",
		"fewer than two backends are there")
}

// fit says whether this server sees enough backends to serve any license.
func (s *tmrServer) fit() bool { return s.group.View().PresentCount() >= license.Majority }

// ready answers keepalived's check.
func (s *tmrServer) ready(w http.ResponseWriter, _ *http.Request) {
	if !s.fit() {
		http.Error(w, "fewer than two backends are there", http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "ok\n")
}

// countTime bounds a count of handles: a store that hangs must not keep the
// link from showing that this server lives.
const countTime = 500 * time.Millisecond

// handleCount counts a server's living handles for the link.
type handleCount struct {
	server *licenseserver.Server
	log    *slog.Logger
	last   atomic.Int64 // what is told while they can't be counted
}

func (h *handleCount) count() uint32 {
	ctx, cancel := context.WithTimeout(context.Background(), countTime)
	defer cancel()
	n, err := h.server.Handles(ctx)
	if err != nil {
		h.log.Debug("handles could not be counted", "error", err)
		return uint32(h.last.Load())
	}
	h.last.Store(int64(n))
	return uint32(n)
}

// URL is where programs reach this server.
func (s *tmrServer) URL() string { return s.face.URL() }

// Leading says whether this server hands out handles.
func (s *tmrServer) Leading() bool {
	_, leading := s.server.Leading()
	return leading
}

// Wait returns when ctx ends (nil) or the listener fails.
func (s *tmrServer) Wait(ctx context.Context) error { return s.face.Wait(ctx) }

// Stop ends everything: first the leadership, so that the other server takes
// over at once. Stopping twice is safe.
func (s *tmrServer) Stop() {
	s.stop.Do(func() {
		if s.server != nil {
			s.server.Stop()
		}
		if s.agent != nil {
			s.agent.Stop()
		}
		if s.store != nil {
			_ = s.store.Close()
		}
		if s.face != nil {
			s.face.Stop()
		}
		if s.group != nil {
			s.group.Stop()
		}
		s.unwatch()
	})
}

// face is a listener with services behind it.
type face struct {
	addr   string
	scheme string
	pin    string
	cancel context.CancelFunc
	done   chan struct{}
	err    error // once done is closed
}

type route struct {
	path    string
	handler http.Handler
}

const healthPath = "GET /healthz"

func handlers(path string, h http.Handler) []route { return []route{{path, h}} }

func listen(addr string, plain bool, key *rpc.Key, log *slog.Logger, routes []route, clientPins ...string) (*face, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, cannotListen(addr, "--listen", err)
	}
	mux := http.NewServeMux()
	for _, r := range routes {
		mux.Handle(r.path, r.handler)
	}
	if !slices.ContainsFunc(routes, func(r route) bool { return r.path == healthPath }) {
		mux.HandleFunc(healthPath, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	}
	server := rpc.NewServer(telemetry.Identify(mux), log)
	f := &face{addr: ln.Addr().String(), scheme: "http", done: make(chan struct{})}
	if !plain {
		server.TLSConfig = rpc.ServerTLS(key, clientPins)
		f.scheme, f.pin = "https", key.Pin()
	}
	ctx, cancel := context.WithCancel(context.Background())
	f.cancel = cancel
	go func() {
		defer close(f.done)
		f.err = rpc.Serve(ctx, server, ln)
	}()
	return f, nil
}

// cannotListen says why, without net's repetition of the address.
func cannotListen(addr, flag string, err error) error {
	why := err
	var op *net.OpError
	if errors.As(err, &op) {
		why = op.Err
	}
	var addrErr *net.AddrError
	if errors.As(why, &addrErr) {
		why = errors.New(addrErr.Err)
	}
	var call *os.SyscallError
	if errors.As(why, &call) {
		why = call.Err
	}
	return &license.Error{Code: license.CodeUnavailable, Message: fmt.Sprintf("%s can't be listened on: %v", addr, why), Fix: "choose another address with " + flag, Err: err}
}

// URL is the address with the pin, as clients want it.
func (f *face) URL() string {
	if f.pin == "" {
		return f.scheme + "://" + f.addr
	}
	return f.scheme + "://" + f.addr + "?pin=" + f.pin
}

func (f *face) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-f.done:
		return f.err
	}
}

func (f *face) Stop() {
	f.cancel()
	<-f.done
}

// announce tells that a server is ready: in JSON for scripts, else in words.
func announce(w io.Writer, asJSON bool, ready map[string]string, words string) error {
	if asJSON {
		return cli.WriteJSON(w, ready)
	}
	_, err := fmt.Fprintln(w, words+". Ctrl-C ends it.")
	return err
}
