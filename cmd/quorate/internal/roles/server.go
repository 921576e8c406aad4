// Package roles holds the roles of quorate, and the commands at the platform's own
// database. It alone chooses drivers.
package roles

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/cmd/quorate/internal/filetools"
	"github.com/quorate/quorate/cmd/quorate/internal/roles/monitoring"
	"github.com/quorate/quorate/internal/backend"
	"github.com/quorate/quorate/internal/container"
	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/licenseserver"
	"github.com/quorate/quorate/internal/licenseserver/rulebook"
	"github.com/quorate/quorate/internal/licenseserver/source"
	"github.com/quorate/quorate/internal/link"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/telemetry"
)

// Server is a license server over one container, or a backend of a TMR group.
type Server struct {
	programFlags
	linkFlags
	monitorFlags
	filetools.BindFlags
	Container string   `help:"The container's file." default:"container.qrc" env:"QUORATE_CONTAINER"`
	Name      string   `help:"This server's name." default:"license-server" env:"QUORATE_NAME"`
	TMR       bool     `help:"Be a backend of a TMR group: serve only the group's TMR servers." name:"tmr" env:"QUORATE_TMR"`
	Pin       []string `help:"With --tmr: the pins of the group's TMR servers." env:"QUORATE_PINS"`
	Journal   string   `help:"With --tmr: where this backend keeps the group's journal of seats: a file, or a Redis of its own as unix:///PATH or redis://HOST:PORT/N." default:"journal.db" env:"QUORATE_JOURNAL"`
	Leases    string   `help:"Where seats are kept: a file, or redis://HOST:PORT/N; not with --tmr." default:"leases.db" env:"QUORATE_LEASES"`
	Replicas  int      `help:"With --leases redis://…: how many replicas of Redis must have a change before it is answered. While they don't, licenses are neither given nor renewed." name:"redis-replicas" default:"0" env:"QUORATE_REDIS_REPLICAS"`
	TokenKey  string   `help:"The key that handle tokens are signed with; created when it is not there." default:"token.key" env:"QUORATE_TOKEN_KEY"`
	BorrowMax string   `help:"How long licenses may be borrowed, to be used without this server, for example 14d; 0s: not at all." default:"0s" env:"QUORATE_BORROW_MAX"`
}

// Help has the examples.
func (Server) Help() string {
	return `Examples:
  quorate server --container container.qrc --listen 0.0.0.0:7400 --leases leases.db
  quorate server --container container.qrc --rules rules.txt     # who may use which license
  quorate server --leases leases.db --borrow-max 14d --min-remove-age 10m --disclose users --ask everyone
  quorate server --leases redis://10.0.0.5:6379/0 --redis-replicas 1
  quorate server --tmr --container container.qrc --journal journal.db --listen 10.0.0.21:7500 \
      --pin sha256:… --pin sha256:…     # the two TMR servers' keys (quorate key tls)
  quorate server --container container.qrc --leases leases.db --name office \
      --platform https://licenses.example.com --link-token /etc/quorate/link.token
  quorate server --name office --platform https://licenses.example.com --enroll 7KQ4M-…   # once; then without the code`
}

// Run serves until ctx ends.
func (c *Server) Run(ctx context.Context, std cli.Streams, logger *slog.Logger, at filetools.Site, build Build) error {
	logger = slog.New(telemetry.LogHandler(logger.Handler()))
	if c.TMR && (c.Platform != "" || c.Enroll != "") {
		return license.Errorf(license.CodeInvalidInput, "link the TMR servers instead", "a backend has no link of its own")
	}
	token, err := c.token()
	if err != nil {
		return err
	}
	policy, err := c.policy()
	if err != nil {
		return err
	}
	if policy.BorrowMost, err = cli.ParseLong(c.BorrowMax); err != nil {
		return err
	}
	if c.TMR && policy.BorrowMost != 0 {
		return license.Errorf(license.CodeInvalidInput, "leave --borrow-max out", "the licenses of a TMR group can't be borrowed")
	}
	if c.TMR && c.Replicas != 0 {
		return license.Errorf(license.CodeInvalidInput, "leave --redis-replicas out: the journals of the three backends are each other's copies", "a backend's journal of seats has no replicas")
	}
	key, err := rpc.LoadOrCreateKey(c.Key)
	if err != nil {
		return err
	}
	held, err := at.Open(c.Container, c.BindFlags)
	if err != nil {
		return err
	}
	defer held.Close()
	role := "server"
	if c.TMR {
		role = "backend"
	}
	mon, err := monitoring.Open(ctx, role, build.Version, logger)
	if err != nil {
		return err
	}
	defer mon.Close()
	if c.TMR {
		if c.Rules != "" {
			return license.Errorf(license.CodeInvalidInput, "give --rules to the TMR servers", "a backend serves no programs, so it has no rules of who may use what")
		}
		j, err := openJournal(ctx, c.Journal, held.Serial())
		if err != nil {
			return err
		}
		defer j.Close()
		f, err := startBackend(held, j, c.Listen, key, c.Pin, logger, mon)
		if err != nil {
			return err
		}
		defer f.Stop()
		if err := c.show(mon, backendReady(held, j)); err != nil {
			return err
		}
		if err := announce(std.Out, c.JSON, mon.Told(map[string]string{"backend": f.URL(), "serial": held.Serial().String()}),
			fmt.Sprintf("backend with container %s serves TMR servers on %s", held.Serial(), f.URL())); err != nil {
			return err
		}
		return f.Wait(ctx)
	}
	seed, err := readSeed(c.TokenKey, "token key", true)
	if err != nil {
		return err
	}
	book, err := c.book(held.Serial(), c.Platform, logger)
	if err != nil {
		return err
	}
	if token == "" && c.Platform != "" {
		if token, err = c.enroll(ctx, c.Name, held.Serial(), logger); err != nil {
			return err
		}
	}
	store, err := openLeases(ctx, c.Leases, c.Replicas, logger)
	if err != nil {
		return err
	}
	defer store.Close()
	s, err := startServer(serverConfig{
		Name: c.Name, Container: held, Store: store, Shared: isRedis(c.Leases), Token: seal.NewSigner(seed),
		Listen: c.Listen, Plain: c.Plain, Key: key, Lease: c.Lease, AdminToken: c.AdminToken, Logger: logger,
		Platform: c.Platform, LinkToken: token, Version: build.Version, Policy: policy, Rules: book, Monitoring: mon,
	})
	if err != nil {
		return err
	}
	defer s.Stop()
	if err := c.show(mon, s.canServe); err != nil {
		return err
	}
	if err := announce(std.Out, c.JSON, mon.Told(map[string]string{"licenseServer": s.face.URL(), "serial": held.Serial().String()}),
		fmt.Sprintf("license server with container %s serves programs on %s", held.Serial(), s.face.URL())); err != nil {
		return err
	}
	return s.face.Wait(ctx)
}

// startBackend serves a container, and a journal of seats, to its group's TMR
// servers. All of them stay the caller's.
func startBackend(held *container.Container, seats journal.Journal, addr string, key *rpc.Key, pins []string, logger *slog.Logger, mon *monitoring.Monitoring) (*face, error) {
	if len(pins) == 0 {
		return nil, license.Errorf(license.CodeInvalidInput, "give --pin for both TMR servers, as quorate key tls prints it there", "a backend needs the pins of its TMR servers")
	}
	b, err := backend.New(backend.Config{Container: held, Journal: seats, Pins: pins, Logger: logger})
	if err != nil {
		return nil, err
	}
	mon.WatchContainer(held)
	return listen(addr, false, key, logger.With("backend", held.Serial().String()), handlers(b.Handler(mon.Calls.Option())), pins...)
}

type serverConfig struct {
	Name       string
	Container  *container.Container
	Store      lease.Store
	Shared     bool
	Token      seal.Signer
	Listen     string
	Plain      bool
	Key        *rpc.Key
	Lease      time.Duration
	AdminToken string
	Policy     policy
	Rules      *ruleBook // nil: everybody may
	Logger     *slog.Logger
	Platform   string // its address; empty: no link
	LinkToken  string
	Version    string                 // of this program
	Monitoring *monitoring.Monitoring // nil: nobody looks
}

// plainServer is a running license server over one container.
type plainServer struct {
	server *licenseserver.Server
	face   *face
	agent  *link.Agent // nil: no link
	stop   sync.Once
	// unwatch ends the look at the file of rules.
	unwatch func()

	handles   handleCount
	container *container.Container
}

// canServe says whether the server can: its container is open, and it hands out
// what is in it.
func (s *plainServer) canServe(context.Context) error {
	if err := containerOpen(s.container); err != nil {
		return err
	}
	if _, leading := s.server.Leading(); !leading {
		return errors.New("the seats can't be claimed yet")
	}
	return nil
}

func startServer(c serverConfig) (*plainServer, error) {
	log := c.Logger.With("container", c.Container.Serial().String())
	if c.Monitoring == nil {
		c.Monitoring = monitoring.Unwatched(log)
	}
	if c.Rules == nil {
		var err error
		if c.Rules, err = newRuleBook(rulebook.Config{Logger: log}); err != nil {
			return nil, err
		}
	}
	licenses := source.NewSingle(c.Container)
	server, err := licenseserver.New(licenseserver.Config{
		Name: c.Name, Source: licenses, Store: c.Store, Arbiter: licenseserver.Always{}, LocalPrograms: true, Limits: c.Rules.Limits,
		Signer: c.Token, Shared: c.Shared, Lease: c.Lease, AdminToken: c.AdminToken, Logger: log,
		Disclose: c.Policy.Disclose, AskEveryone: c.Policy.AskEveryone, MinRemoveAge: c.Policy.MinRemoveAge, MostWaiting: c.Policy.MostWaiting, MostHandles: c.Policy.MostHandles, BorrowMost: c.Policy.BorrowMost,
	})
	if err != nil {
		return nil, err
	}
	c.Monitoring.WatchServer(server)
	c.Monitoring.WatchContainer(c.Container)
	s := &plainServer{server: server, container: c.Container}
	path, handler := server.Handler(c.Monitoring.Programs()...)
	if s.face, err = listen(c.Listen, c.Plain, c.Key, log, []route{
		{path, handler}, {"/quorate.v1.BackendService/", http.HandlerFunc(notABackend)}, c.Rules.health(c.AdminToken),
		{"GET /readyz", telemetry.Ready(log, s.canServe)},
	}); err != nil {
		return nil, err
	}
	s.unwatch = c.Rules.watch()
	s.handles.server, s.handles.log = server, log
	if err := server.Start(context.Background()); err != nil {
		s.Stop()
		return nil, err
	}
	if c.Platform == "" {
		return s, nil
	}
	held := link.NewContainer(c.Container)
	agent, err := link.New(link.Config{
		Server: c.Name, URL: c.Platform, Token: c.LinkToken, Version: c.Version, Logger: log, Executor: held, Clock: held,
		Remove: server.Remove, Ask: server.Ask, Handles: server.Living,
		Events: func(ctx context.Context, after uint64, most int) ([]lease.Event, error) {
			return c.Store.Events(ctx, c.Container.Serial(), after, most)
		},
		Clients: s.handles.count, Served: held.Served, Rules: c.Rules, Refused: licenses.Refuse, Tracing: c.Monitoring.Tracing, Did: c.Monitoring.LinkWork(),
	})
	if err == nil {
		s.agent = agent
		c.Monitoring.WatchLink(agent)
		err = agent.Start(context.Background())
	}
	if err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// notABackend tells a TMR server that was pointed at a plain license server.
func notABackend(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "this is a license server, not a backend: start it with --tmr", http.StatusNotFound)
}

// Stop ends the server. Stopping twice is safe.
func (s *plainServer) Stop() {
	s.stop.Do(func() {
		if s.agent != nil {
			s.agent.Stop()
		}
		s.server.Stop()
		s.face.Stop()
		s.unwatch()
	})
}
