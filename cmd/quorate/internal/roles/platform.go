package roles

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/cmd/quorate/internal/roles/monitoring"
	"github.com/quorate/quorate/frontend"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/event/redisevent"
	"github.com/quorate/quorate/internal/gcfloor"
	"github.com/quorate/quorate/internal/httpd"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/linkapi"
	"github.com/quorate/quorate/internal/live"
	"github.com/quorate/quorate/internal/live/redislog"
	"github.com/quorate/quorate/internal/platform"
	"github.com/quorate/quorate/internal/platform/accounts"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/history"
	"github.com/quorate/quorate/internal/ratelimit"
	"github.com/quorate/quorate/internal/session"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/telemetry"
	"github.com/quorate/quorate/internal/usageapi"
	"github.com/quorate/quorate/resolvers"
	"github.com/quorate/quorate/resolvers/documents"
	"github.com/quorate/quorate/resolvers/observe"
	"github.com/quorate/quorate/workers"
)

// Platform is the platform.
type Platform struct {
	Serve  platformServeCmd  `cmd:"" default:"withargs" help:"Run the platform (the default)."`
	Init   platformInitCmd   `cmd:"" help:"Set a new platform up: root key, vendor, owner."`
	Vendor platformVendorCmd `cmd:"" help:"Let a customer sell licenses of its own, too."`

	ResetPassword platformResetCmd `cmd:"" help:"Make a one-time link by which a person sets a new password."`
}

// databaseFlags say where the platform keeps what.
type databaseFlags struct{ cli.DatabaseFlags }

type platformServeCmd struct {
	databaseFlags
	usageFlags
	limitFlags
	monitorFlags
	Listen      string        `help:"Address to listen on." default:"127.0.0.1:8080" env:"QUORATE_LISTEN"`
	HTTPS       bool          `help:"Browsers reach the platform by HTTPS only (through a proxy): cookies are marked so." name:"https" env:"QUORATE_HTTPS"`
	Origin      []string      `help:"Further origins whose pages may call the API, for example https://licenses.example.com." env:"QUORATE_ORIGINS"`
	Proxies     string        `name:"trusted-proxies" help:"Networks of reverse proxies whose X-Forwarded-For says whom a request is from, for example 10.0.0.5,fd00::/64." env:"QUORATE_TRUSTED_PROXIES"`
	Settle      time.Duration `help:"How long a backend has to serve a new license steadily before the next one's turn." default:"1s" env:"QUORATE_SETTLE"`
	PrivateNets bool          `name:"allow-private-networks" help:"Let identity providers be in private networks, and be reached there." env:"QUORATE_ALLOW_PRIVATE_NETWORKS"`
	webhookFlags
	NoWorkers     bool          `help:"Leave rollouts to other replicas." env:"QUORATE_NO_WORKERS"`
	Sweep         time.Duration `help:"How often to look for what a replica that died has left undone, and for rollouts of plans whose turn has come." default:"10s" env:"QUORATE_SWEEP"`
	Introspection bool          `help:"Let clients read the GraphQL schema." default:"true" negatable:"" env:"QUORATE_INTROSPECTION"`
	JSON          bool          `help:"Write one JSON line when ready." name:"json"`
}

// usageFlags say how long what of the usage history is kept.
type usageFlags struct {
	KeepMinutes     int `help:"Days for which usage is kept by the minute." default:"7" env:"QUORATE_KEEP_MINUTES"`
	KeepHours       int `help:"Days for which usage is kept by the hour." default:"90" env:"QUORATE_KEEP_HOURS"`
	KeepDays        int `help:"Days for which usage is kept by the day." default:"1826" env:"QUORATE_KEEP_DAYS"`
	KeepAllocations int `help:"Days for which ended allocations are kept." default:"400" env:"QUORATE_KEEP_ALLOCATIONS"`
	KeepDenials     int `help:"Days for which denials are kept." default:"90" env:"QUORATE_KEEP_DENIALS"`
	KeepLog         int `help:"Days for which entries of the usage logs are kept." default:"730" env:"QUORATE_KEEP_LOG"`
}

func (f usageFlags) policy() history.UsagePolicy {
	days := func(n int) time.Duration { return time.Duration(max(min(n, 36_500), 1)) * 24 * time.Hour }
	return history.UsagePolicy{
		Minutes: days(f.KeepMinutes), Hours: days(f.KeepHours), Days: days(f.KeepDays),
		Allocations: days(f.KeepAllocations), Denials: days(f.KeepDenials), Log: days(f.KeepLog),
	}
}

func (platformServeCmd) Help() string {
	return `Examples:
  quorate platform init --organization "Example Vendor" --email owner@example.com
  quorate platform --listen 127.0.0.1:8080
  quorate platform --database 'postgres://quorate@db/quorate' --redis redis://cache:6379/0`
}

func (c *platformServeCmd) Run(ctx context.Context, std cli.Streams, logger *slog.Logger, build Build) error {
	limits, err := c.limitFlags.config()
	if err != nil {
		return err
	}
	defer gcfloor.Keep(gcfloor.Usual)()
	logger = slog.New(telemetry.LogHandler(logger.Handler()))
	mon, err := monitoring.Open(ctx, "platform", build.Version, logger)
	if err != nil {
		return err
	}
	defer mon.Close()
	sender, err := c.webhookFlags.sender()
	if err != nil {
		return err
	}
	proxies, err := trustedProxies(c.Proxies)
	if err != nil {
		return err
	}
	p, err := c.openWith(ctx, logger, platform.Config{Settle: c.Settle, Usage: c.policy(), PrivateNetworks: c.PrivateNets, Webhooks: sender}, c.Sweep)
	if err != nil {
		return err
	}
	defer p.Close()
	s, err := p.serve(ctx, serveConfig{
		Listen: c.Listen, HTTPS: c.HTTPS, Origins: c.Origin, Proxies: proxies, Workers: !c.NoWorkers, Introspection: c.Introspection,
		Monitoring: mon, Limits: limits,
	})
	if err != nil {
		return err
	}
	defer s.Stop()
	if err := c.show(mon, p.ready); err != nil {
		return err
	}
	if err := announce(std.Out, c.JSON, mon.Told(map[string]string{"url": s.URL(), "graphql": s.URL() + "/graphql"}),
		"platform on "+s.URL()); err != nil {
		return err
	}
	return s.Wait(ctx)
}

// openPlatform is the platform with everything it stands on.
type openPlatform struct {
	*platform.Platform
	// limits and documents are those of all replicas.
	limits    ratelimit.Limiter
	documents documents.Cache

	store *store.Store
	bus   event.Bus
	// streams is beside the bus, on whose connection to Redis it is.
	streams live.Log
	queue   *workers.River
	redis   redis.UniversalClient // nil: none
	close   []func() error
	log     *slog.Logger
}

func (f databaseFlags) open(ctx context.Context, logger *slog.Logger, settle time.Duration) (*openPlatform, error) {
	return f.openWith(ctx, logger, platform.Config{Settle: settle}, 0)
}

// Open opens the platform at its database, for commands that run beside it.
func Open(ctx context.Context, f cli.DatabaseFlags, logger *slog.Logger) (p *platform.Platform, closing func(), err error) {
	opened, err := databaseFlags{f}.open(ctx, logger, 0)
	if err != nil {
		return nil, nil, err
	}
	return opened.Platform, opened.Close, nil
}

// openWith takes what c says of settings, and fills the rest in. sweep is how
// often unfinished work is looked for; 0: as usual.
func (f databaseFlags) openWith(ctx context.Context, logger *slog.Logger, c platform.Config, sweep time.Duration) (_ *openPlatform, err error) {
	p := &openPlatform{log: slog.New(telemetry.LogHandler(logger.Handler()))}
	defer func() {
		if err != nil {
			p.Close()
		}
	}()
	if scheme, _, found := strings.Cut(f.Database, "://"); found && scheme != "postgres" && scheme != "postgresql" {
		return nil, license.Errorf(license.CodeInvalidInput, "give --database the path of an SQLite file, or postgres://…", "%s:// is not a database that the platform can use", scheme)
	}
	var keys *core.MasterKey
	if f.MasterKeyValue != "" {
		keys, err = core.ParseMasterKey(f.MasterKeyValue)
	} else {
		keys, err = core.LoadOrCreateMasterKey(f.MasterKey)
	}
	if err != nil {
		return nil, err
	}
	if p.store, err = store.Open(ctx, f.Database, store.Logged(p.log)); err != nil {
		return nil, noDatabase(err)
	}
	p.close = append(p.close, p.store.Close)
	if err := p.store.CheckRole(ctx); license.CodeOf(err) == license.CodeForbidden {
		p.log.Warn("the database keeps foreign rows back from nobody", "error", err)
	} else if err != nil {
		return nil, noDatabase(err)
	}
	if f.Redis == "" {
		p.bus, p.streams = event.NewLocal(), live.NewMemLog()
	} else {
		rdb, err := openRedis(f.Redis)
		if err != nil {
			return nil, err
		}
		if p.bus, err = redisevent.New(ctx, rdb, p.log); err != nil {
			_ = rdb.Close()
			return nil, &license.Error{Code: license.CodeUnavailable, Err: err, Message: "Redis can't be used: " + cli.Printable(license.Clip(err.Error(), 200)),
				Fix: "check --redis, and that Redis runs and lets this machine in"}
		}
		p.streams = redislog.New(rdb)
		p.redis = rdb
	}
	p.close = append(p.close, p.bus.Close)
	p.limits, p.documents = counting(p.redis, p.log)
	if p.queue, err = workers.Open(ctx, workers.Config{DB: p.store.DB(), Dialect: p.store.Dialect(), Sweep: sweep, Logger: p.log}); err != nil {
		return nil, err
	}
	c.Store, c.Bus, c.Keys, c.Jobs, c.Limits, c.Logger = p.store, p.bus, keys, p.queue, p.limits, p.log
	if p.Platform, err = platform.New(c); err != nil {
		return nil, err
	}
	p.queue.Register(p.Platform, nil)
	p.queue.RegisterUsage(p.Platform)
	p.queue.RegisterWebhooks(p.Platform)
	p.queue.RegisterServers(p.Platform)
	p.queue.RegisterKeys(p.Platform)
	p.queue.RegisterPlans(p.Platform)
	return p, nil
}

// noDatabase tells what to do; the message of the driver never has the
// password.
func noDatabase(err error) error {
	if why := store.Away(err); why != nil {
		err = why
	}
	if license.CodeOf(err) != license.CodeInternal {
		return err
	}
	return &license.Error{
		Code: license.CodeUnavailable, Err: err, Message: "the database can't be used: " + err.Error(),
		Fix: "check --database: an SQLite file in a folder that can be written, or a PostgreSQL server that can be reached",
	}
}

// Close closes everything, in the reverse order. Closing twice is safe.
func (p *openPlatform) Close() {
	for len(p.close) > 0 {
		last := len(p.close) - 1
		if err := p.close[last](); err != nil {
			p.log.Warn("closing", "error", err)
		}
		p.close = p.close[:last]
	}
}

type serveConfig struct {
	Listen        string
	HTTPS         bool
	Origins       []string
	Proxies       []netip.Prefix
	Workers       bool
	Introspection bool
	Limits        limitConfig
	Monitoring    *monitoring.Monitoring // nil: nobody looks
}

// servedPlatform is a platform that answers.
type servedPlatform struct {
	addr    string
	leave   context.CancelFunc // ends the server
	cancel  context.CancelFunc // ends what is beside it
	done    chan struct{}
	err     error // once done is closed
	cleaned sync.WaitGroup
	queue   *workers.River // nil without workers
	stop    sync.Once
}

func (p *openPlatform) serve(ctx context.Context, c serveConfig) (*servedPlatform, error) {
	root, err := p.RootKey(ctx)
	if license.CodeOf(err) == license.CodeUnavailable && store.Away(err) == nil {
		return nil, license.Errorf(license.CodeUnavailable, "run quorate platform init with the same --database and --master-key", "the platform is not set up")
	}
	if err != nil {
		return nil, err
	}
	rootText := base64.StdEncoding.EncodeToString(root)
	if c.Monitoring == nil {
		c.Monitoring = monitoring.Unwatched(p.log)
	}
	c.Monitoring.WatchPlatform(p.Platform, p.queue, p.redis)
	sessions := session.New(p.Platform, p.store.Sessions(), c.HTTPS, p.log)
	linkPath, linkHandler := linkapi.Handler(p.Platform, p.log, c.Monitoring.Calls.Option())
	server, err := httpd.New(httpd.Config{
		Logger: p.log,
		GraphQL: resolvers.NewHandler(resolvers.Config{
			Platform: p.Platform, Logger: p.log, Streams: p.streams, Authenticate: sessions.Authenticate,
			RequestID: telemetry.RequestID, Outlive: httpd.Outlive, TrustedOrigins: c.Origins, Introspection: c.Introspection,
			Limits: p.limits, Rates: c.Limits.Rates, Documents: p.documents, Registered: c.Limits.Registered,
			Metrics: observe.NewMetrics(c.Monitoring.Registry),
		}),
		RPC: map[string]http.Handler{
			linkPath: linkHandler,
			"/root-key": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/plain; charset=utf-8")
				_, _ = io.WriteString(w, rootText+"\n")
			}),
		},
		Exports:  usageapi.Exports(p.Platform),
		Limits:   p.limits,
		Sessions: sessions, Auth: sessions.Endpoints(), Dashboard: frontend.Files(), Ready: p.ready,
		Metrics: c.Monitoring.Registry, Tracing: c.Monitoring.Tracing, TrustedOrigins: c.Origins, TrustedProxies: c.Proxies, HTTPS: c.HTTPS,
	})
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, cannotListen(c.Listen, "--listen", err)
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	serving, leave := context.WithCancel(run)
	s := &servedPlatform{addr: ln.Addr().String(), leave: leave, cancel: cancel, done: make(chan struct{})}
	if c.Workers {
		if err := p.queue.Start(run); err != nil {
			cancel()
			return nil, errors.Join(err, ln.Close())
		}
		s.queue = p.queue
	}
	s.cleaned.Go(func() { p.clean(run) })
	go func() {
		defer close(s.done)
		s.err = server.Serve(serving, ln)
	}()
	return s, nil
}

// clean removes ended sessions now and then.
func (p *openPlatform) clean(ctx context.Context) {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		if err := p.store.Sessions().DeleteExpired(ctx); err != nil && ctx.Err() == nil {
			p.log.Warn("ended sessions could not be removed", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// URL is the platform's address.
func (s *servedPlatform) URL() string { return "http://" + s.addr }

// Wait returns when ctx ends (nil) or the server fails.
func (s *servedPlatform) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.done:
		return s.err
	}
}

// Stop ends the server and the workers side by side: who asks or follows
// something goes on at another replica at once, and what a worker does is waited
// for. Stopping twice is safe.
func (s *servedPlatform) Stop() {
	s.stop.Do(func() {
		s.leave()
		if s.queue != nil {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			_ = s.queue.Stop(ctx)
		}
		<-s.done
		s.cancel()
		s.cleaned.Wait()
	})
}

type platformInitCmd struct {
	databaseFlags
	Organization string `help:"The vendor's name." required:""`
	Email        string `help:"The owner's e-mail address." required:""`
	Name         string `help:"The owner's name." default:"Owner"`
	PasswordFile string `help:"File with the owner's password; one is made up and shown when left out."`
	JSON         bool   `help:"Write JSON." name:"json"`
}

func (platformInitCmd) Help() string {
	return `Repeating it changes nothing. It prints the root key, which containers are
created under, and the owner's password and API token, this once.

Example:
  quorate platform init --organization "Example Vendor" --email owner@example.com`
}

func (c *platformInitCmd) Run(ctx context.Context, std cli.Streams, logger *slog.Logger) error {
	spec := accounts.BootstrapSpec{Organization: c.Organization, Email: c.Email, Name: c.Name}
	if c.PasswordFile != "" {
		password, err := cli.ReadSecretFile(c.PasswordFile, "password")
		if err != nil {
			return err
		}
		spec.Password = string(password)
	}
	p, err := c.open(ctx, logger, 0)
	if err != nil {
		return err
	}
	defer p.Close()
	out, err := p.Bootstrap(ctx, spec)
	if err != nil {
		return err
	}
	result := map[string]string{
		"root": base64.StdEncoding.EncodeToString(out.Root), "organization": out.Organization.ID, "email": out.Owner.Email,
	}
	if out.Password != "" {
		result["password"] = out.Password
	}
	if out.Created {
		if result["token"], err = p.ownerToken(ctx, out, "set-up"); err != nil {
			return err
		}
	}
	if c.JSON {
		return cli.WriteJSON(std.Out, result)
	}
	if !out.Created {
		fmt.Fprintln(std.Out, "The platform was set up before; nothing was changed.")
	}
	for _, key := range []string{"organization", "email", "password", "token", "root"} {
		if v := result[key]; v != "" {
			fmt.Fprintf(std.Out, "%-13s %s\n", strings.ToUpper(key[:1])+key[1:], v)
		}
	}
	return nil
}

// ownerToken makes an API token on the owner's authority.
func (p *openPlatform) ownerToken(ctx context.Context, b accounts.Bootstrapped, name string) (string, error) {
	owner := auth.Principal{Kind: auth.KindMember, ID: b.Owner.ID, Organization: b.Organization.ID, Role: auth.Owner, Name: b.Owner.Name, Email: b.Owner.Email}
	_, token, err := p.CreateToken(auth.With(ctx, owner), "", accounts.TokenSpec{Name: name, Role: "OWNER"})
	return token, err
}
