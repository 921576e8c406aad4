package roles

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/cmd/quorate/internal/roles/monitoring"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/container"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/licenseserver/rulebook"
	"github.com/quorate/quorate/internal/platform/accounts"
	"github.com/quorate/quorate/internal/platform/catalog"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/orders"
	"github.com/quorate/quorate/internal/platform/provision"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/tmr"
)

// Demo is everything in one process.
type Demo struct {
	Listen   string        `help:"Address of dashboard and API." default:"127.0.0.1:8080" env:"QUORATE_LISTEN"`
	Programs string        `help:"Virtual address that programs reach the TMR servers by. A free port by default, 7400 where it is free." placeholder:"HOST:PORT" env:"QUORATE_DEMO_PROGRAMS"`
	Data     string        `help:"Folder for the demo's data." default:"data/demo" env:"QUORATE_DATA"`
	Settle   time.Duration `help:"How long a backend has to serve a new license before the next one's turn." default:"1500ms"`
	Patience time.Duration `help:"How long a backend may be silent before it counts as absent." default:"400ms"`
	Quiet    bool          `help:"Start without the sample programs."`
	JSON     bool          `help:"Write one JSON line when ready." name:"json"`
}

// Help has the examples.
func (Demo) Help() string {
	return `One process with a platform, two TMR servers, three backends with a container
on disk each, and a dozen sample programs, all speaking the real protocols on
loopback. Started again with the same --data it goes on where it ended.

Examples:
  quorate demo
  quorate demo --listen 127.0.0.1:9090 --data /tmp/demo --json`
}

// What the demo is about.
const (
	demoFirm     license.FirmCode    = 6000010
	demoProduct  license.ProductCode = 14
	demoQuantity                     = 20
	demoFirstID                      = 7
	demoPrograms                     = 12
	demoLease                        = 15 * time.Second
)

func demoSerials() (virtual license.Serial, backends [license.Backends]license.Serial) {
	return license.Serial{Mask: license.MaskVirtual, Number: 4837572}, [license.Backends]license.Serial{
		{Mask: license.MaskUniversal, Number: 1874829},
		{Mask: license.MaskUniversal, Number: 27845973},
		{Mask: license.MaskUniversal, Number: 3879234},
	}
}

func demoActivation() [16]byte { return [16]byte([]byte("quorate-demo-tmr")) }

func demoServers() [2]string { return [2]string{"tmr-a", "tmr-b"} }

// demoSecrets is what the demo has to know again at its next start.
type demoSecrets struct {
	Email      string            `json:"email"`
	Password   string            `json:"password"`
	Token      string            `json:"token"`
	LinkTokens map[string]string `json:"linkTokens"`
	Group      string            `json:"group"`
}

// Run runs the demo until ctx ends.
func (c *Demo) Run(ctx context.Context, std cli.Streams, logger *slog.Logger) error {
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return &license.Error{Code: license.CodeUnavailable, Message: fmt.Sprintf("the demo's folder %s can't be made", c.Data), Fix: "choose another with --data", Err: err}
	}
	if !logger.Enabled(ctx, slog.LevelDebug) {
		logger = slog.New(atLeast{logger.Handler(), slog.LevelWarn})
	}
	d := &demo{cfg: *c, log: logger}
	defer d.Stop()
	if err := d.start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // Ctrl-C during the start
		}
		return err
	}
	ready := map[string]string{
		"url": d.served.URL(), "graphql": d.served.URL() + "/graphql", "token": d.secrets.Token,
		"licenseServer": "http://" + d.virtual.Addr(), "email": d.secrets.Email, "password": d.secrets.Password, "tmrGroup": d.secrets.Group,
	}
	if c.JSON {
		if err := cli.WriteJSON(std.Out, ready); err != nil {
			return err
		}
	} else if _, err := io.WriteString(std.Out, welcome(ready, os.Args[0], c.Data)); err != nil {
		return err
	}
	return d.served.Wait(ctx)
}

// welcome is what a person reads when the demo is ready: commands to paste, with
// program as it was called.
func welcome(ready map[string]string, program, data string) string {
	return fmt.Sprintf(`
Quorate demo

  Dashboard       %[1]s
  Sign in         %[2]s   password %[3]s
  GraphQL         %[4]s
  API token       %[5]s
  License server  %[6]s   (virtual address of the two TMR servers)

Try it in a second terminal:

  export QUORATE_URL=%[1]s QUORATE_SERVER=%[6]s QUORATE_TOKEN=%[5]s
  %[7]s order 131-4837572 10
  %[7]s rollout start 131-4837572 --wait
  %[7]s ls

Ctrl-C ends the demo; its data stays in %[8]s.
`, ready["url"], ready["email"], ready["password"], ready["graphql"], ready["token"], ready["licenseServer"], program, data)
}

// demo is everything at once. Its parts are stopped in the reverse order of
// their start.
type demo struct {
	cfg     Demo
	log     *slog.Logger
	secrets demoSecrets
	served  *servedPlatform
	virtual *virtualAddress
	stops   []func()
	// monitoring is for tests: what a role shows, by its name; nil: nothing.
	monitoring func(role, name string) *monitoring.Monitoring
}

func (d *demo) monitor(role, name string) *monitoring.Monitoring {
	if d.monitoring == nil {
		return monitoring.Unwatched(d.log)
	}
	return d.monitoring(role, name)
}

func (d *demo) onStop(f func()) { d.stops = append(d.stops, f) }

// Stop ends what was started. Stopping twice is safe.
func (d *demo) Stop() {
	for len(d.stops) > 0 {
		last := len(d.stops) - 1
		stop := d.stops[last]
		d.stops = d.stops[:last]
		stop()
	}
}

func (d *demo) path(elem ...string) string {
	return filepath.Join(append([]string{d.cfg.Data}, elem...)...)
}

func (d *demo) start(ctx context.Context) error {
	db := databaseFlags{cli.DatabaseFlags{Database: d.path("platform.db"), MasterKey: d.path("master.key")}}
	p, err := db.open(ctx, d.log, d.cfg.Settle)
	if err != nil {
		return err
	}
	d.onStop(p.Close)
	if err := d.readSecrets(); err != nil {
		return err
	}
	boot, err := d.bootstrap(ctx, p)
	if err != nil {
		return err
	}
	if d.served, err = p.serve(ctx, serveConfig{Listen: d.cfg.Listen, Workers: true, Introspection: true, Monitoring: d.monitor("platform", "platform")}); err != nil {
		return err
	}
	d.onStop(d.served.Stop)

	containers, err := d.containers(boot)
	if err != nil {
		return err
	}
	seed, err := readSeed(d.path("token.key"), "token key", true)
	if err != nil {
		return err
	}
	signer := seal.NewSigner(seed)
	owner := auth.With(ctx, auth.Principal{
		Kind: auth.KindMember, ID: boot.Owner.ID, Organization: boot.Organization.ID,
		Role: auth.Owner, Name: boot.Owner.Name, Email: boot.Owner.Email,
	})
	item, err := d.provision(owner, p, containers, signer)
	if err != nil {
		return err
	}
	servers, err := d.servers(ctx, containers, signer)
	if err != nil {
		return err
	}
	if err := d.firstRollout(owner, p, item); err != nil {
		return err
	}
	if d.virtual, err = listenDemo(d.cfg.Programs); err != nil {
		return err
	}
	d.onStop(d.virtual.Close)
	follow, cancel := context.WithCancel(context.WithoutCancel(ctx))
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		followLeader(follow, d.virtual, servers)
	}()
	d.onStop(func() { cancel(); <-followed })
	if !d.cfg.Quiet {
		if err := d.programs(ctx, "http://"+d.virtual.Addr()); err != nil {
			return err
		}
	}
	return nil
}

// listenDemo takes port 7400 for programs, or a free one where it is taken.
func listenDemo(addr string) (*virtualAddress, error) {
	if addr != "" {
		v, err := listenVirtual(addr)
		if err != nil {
			return nil, cannotListen(addr, "--programs", err)
		}
		return v, nil
	}
	v, err := listenVirtual("127.0.0.1:7400")
	if err != nil {
		v, err = listenVirtual("127.0.0.1:0")
	}
	return v, err
}

func (d *demo) bootstrap(ctx context.Context, p *openPlatform) (accounts.Bootstrapped, error) {
	boot, err := p.Bootstrap(ctx, accounts.BootstrapSpec{
		Organization: "Example Vendor", Email: "owner@example.com", Name: "Demo Owner", Password: d.secrets.Password,
	})
	if err != nil {
		return boot, err
	}
	if boot.Password != "" {
		d.secrets.Password = boot.Password
	}
	d.secrets.Email = boot.Owner.Email
	if d.secrets.Token == "" {
		if d.secrets.Token, err = p.ownerToken(ctx, boot, "demo"); err != nil {
			return boot, err
		}
	}
	return boot, d.writeSecrets()
}

// containers opens the three backends' containers, and makes them at the first
// start.
func (d *demo) containers(boot accounts.Bootstrapped) (held [license.Backends]*container.Container, err error) {
	_, serials := demoSerials()
	for i, serial := range serials {
		dir := d.path(fmt.Sprintf("backend-%d", i+1))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return held, err
		}
		file := filepath.Join(dir, "container.qrc")
		if cli.Exists(file) {
			held[i], err = container.Open(file)
		} else {
			held[i], err = container.Create(file, container.Params{Serial: serial, Root: boot.Root, ActivationID: demoActivation()})
		}
		if err != nil {
			return held, fmt.Errorf("backend %d: %w", i+1, err)
		}
		d.onStop(func() { _ = held[i].Close() })
	}
	return held, nil
}

// provision registers what the demo is about, and gives the item's id.
func (d *demo) provision(ctx context.Context, p *openPlatform, held [license.Backends]*container.Container, signer seal.Signer) (item string, err error) {
	virtual, _ := demoSerials()
	spec := provision.ProvisionSpec{
		Customer: "Acme Motors",
		Firm:     catalog.FirmSpec{Code: demoFirm, Name: "Example Vendor"},
		Product:  catalog.ProductSpec{Code: demoProduct, Name: "Chart Processing"},
		Item:     catalog.ItemSpec{Name: "Chart Processing, 20 users", Options: license.Options{Quantity: demoQuantity, FeatureMap: 0b1}},
		Group: provision.GroupSpec{
			Name: "TMR Production", Virtual: virtual, FirstTMRID: demoFirstID, TokenKey: signer.Public(),
		},
	}
	for i, c := range held {
		if spec.Group.Fingerprints[i], err = c.Fingerprint(make([]byte, 32)); err != nil {
			return "", err
		}
	}
	for _, name := range demoServers() {
		spec.Group.Servers = append(spec.Group.Servers, provision.ServerSpec{Name: name, Address: "127.0.0.1"})
	}
	made, err := p.Provision(ctx, spec)
	if err != nil {
		return "", err
	}
	d.secrets.Group = made.Group.ID
	if d.secrets.LinkTokens == nil {
		d.secrets.LinkTokens = map[string]string{}
	}
	for _, s := range made.Servers {
		token := s.Token
		if token == "" && d.secrets.LinkTokens[s.Server.Name] == "" { // a start that was killed half way
			if token, err = p.RotateLinkToken(ctx, s.Server.ID); err != nil {
				return "", err
			}
		}
		if token != "" {
			d.secrets.LinkTokens[s.Server.Name] = token
		}
	}
	if err := showUsers(ctx, p, made.Group); err != nil {
		return "", err
	}
	return made.Item.ID, d.writeSecrets()
}

// servers starts three backends and two TMR servers.
func (d *demo) servers(ctx context.Context, held [license.Backends]*container.Container, signer seal.Signer) (servers []*tmrServer, err error) {
	names := demoServers()
	var keys [len(names)]*rpc.Key
	var pins []string
	for i, name := range names {
		if keys[i], err = d.key(name); err != nil {
			return nil, err
		}
		pins = append(pins, keys[i].Pin())
	}
	var backends [license.Backends]tmr.BackendConfig
	for i, c := range held {
		key, err := d.key(fmt.Sprintf("backend-%d", i+1))
		if err != nil {
			return nil, err
		}
		j, err := openJournal(ctx, d.path(fmt.Sprintf("backend-%d", i+1), "journal.db"), c.Serial())
		if err != nil {
			return nil, err
		}
		d.onStop(func() { _ = j.Close() })
		f, err := startBackend(c, j, "127.0.0.1:0", key, pins, d.log, d.monitor("backend", c.Serial().String()))
		if err != nil {
			return nil, err
		}
		d.onStop(f.Stop)
		backends[i] = tmr.BackendConfig{Position: i + 1, Serial: c.Serial(), URL: "https://" + f.addr, Pin: key.Pin()}
	}
	virtual, _ := demoSerials()
	for i, name := range names {
		book, err := newRuleBook(rulebook.Config{Copy: d.path(name, "rules.copy"), Serial: virtual, Logger: d.log})
		if err != nil {
			return nil, err
		}
		s, err := startTMR(ctx, tmrConfig{
			Name: name, Virtual: virtual, ActivationID: demoActivation(), Backends: backends, Key: keys[i], Token: signer,
			Listen: "127.0.0.1:0", Plain: true, Lease: demoLease, Term: time.Second, Patience: d.cfg.Patience, NewGroup: true,
			Platform: d.served.URL(), LinkToken: d.secrets.LinkTokens[name], Rules: book, Logger: d.log, Monitoring: d.monitor("tmr", name),
		})
		if err != nil {
			return nil, err
		}
		d.onStop(s.Stop)
		servers = append(servers, s)
	}
	return servers, nil
}

func (d *demo) key(name string) (*rpc.Key, error) {
	if err := os.MkdirAll(d.path(name), 0o700); err != nil {
		return nil, err
	}
	return rpc.LoadOrCreateKey(d.path(name, "tls.key"))
}

// firstRollout orders the first licenses and waits until they are on all three
// backends. At later starts the keys find what was done.
func (d *demo) firstRollout(ctx context.Context, p *openPlatform, item string) error {
	if _, err := p.Order(ctx, orders.OrderRequest{Item: item, Group: d.secrets.Group, Quantity: demoQuantity, IdempotencyKey: "demo-first-order"}); err != nil {
		return err
	}
	r, err := p.StartRollout(ctx, core.Place{Group: d.secrets.Group}, "demo-first-rollout")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for r.State != property.RolloutDone {
		if r.State == property.RolloutHeld {
			return license.Errorf(license.CodeRolloutState, "start with another --data folder, or see why with --verbose", "the first rollout is held: %s", *r.Blocker)
		}
		select {
		case <-ctx.Done():
			return license.Errorf(license.CodeUnavailable, "start again with --verbose to see why", "the first licenses could not be rolled out within a minute")
		case <-tick.C:
		}
		client, err := p.Read(ctx)
		if err != nil {
			return err
		}
		if r, err = client.Rollout.Get(ctx, r.ID); err != nil {
			return err
		}
	}
	return nil
}

// followLeader keeps the virtual address at the server that leads.
func followLeader(ctx context.Context, v *virtualAddress, servers []*tmrServer) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, s := range servers {
			if s.Leading() {
				v.Point(s.face.addr)
				break
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (d *demo) readSecrets() error {
	b, err := os.ReadFile(d.path("demo.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, &d.secrets); err != nil {
		return license.Errorf(license.CodeInvalidInput, "restore it, or start with another --data folder", "%s is damaged", d.path("demo.json"))
	}
	return nil
}

// writeSecrets replaces the file in one step.
func (d *demo) writeSecrets() error {
	b, err := json.MarshalIndent(d.secrets, "", "  ")
	if err != nil {
		return err
	}
	tmp := d.path("demo.json.new")
	if err := os.WriteFile(tmp, append(b, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, d.path("demo.json"))
}

// atLeast lets records of a level and above through.
type atLeast struct {
	slog.Handler
	level slog.Level
}

func (h atLeast) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= h.level && h.Handler.Enabled(ctx, l)
}

func (h atLeast) WithAttrs(a []slog.Attr) slog.Handler {
	return atLeast{h.Handler.WithAttrs(a), h.level}
}

func (h atLeast) WithGroup(name string) slog.Handler {
	return atLeast{h.Handler.WithGroup(name), h.level}
}
