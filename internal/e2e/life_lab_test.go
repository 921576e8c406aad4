package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/testenv"
)

const (
	charts = "6000010:14" // with every option
	views  = "6000010:15" // with a quantity alone
	remote = "6000011:1"  // of another firm
)

// life is a platform with customers that have a container each, and no TMR.
type life struct {
	t        testing.TB
	dir      string
	vendor   string // its organization
	root     string
	api      api
	database []string // flags
	args     []string
	platform *process
}

func newLife(t testing.TB, flags ...string) *life {
	t.Helper()
	l := &life{t: t, dir: t.TempDir()}
	l.database = append(flags, "--master-key", l.path("master.key"))
	if len(flags) == 0 {
		l.database = append(l.database, "--database", l.path("platform.db"))
	}
	var boot struct{ Root, Token, Organization string }
	l.json(&boot, append([]string{"platform", "init", "--organization", "Example Vendor", "--email", "owner@example.com", "--json"}, l.database...)...)
	l.root, l.vendor = boot.Root, boot.Organization
	addr := testenv.FreeAddr(t)
	l.args = append([]string{"platform", "--listen", addr, "--settle", "300ms", "--json"}, l.database...)
	l.platform = start(t, "platform", l.args...)
	l.api = api{"http://" + addr, boot.Token}
	for code, name := range map[int]string{6000010: "Example Vendor", 6000011: "Example Radio"} {
		l.api.query(t, `mutation($in: CreateFirmInput!) { createFirm(input: $in) { firm { id } } }`,
			map[string]any{"in": map[string]any{"code": code, "name": name}}, nil)
	}
	for ref, name := range map[string]string{charts: "Chart Processing", views: "Chart Viewing", remote: "Remote Radio"} {
		firm, code, _ := strings.Cut(ref, ":")
		var n int
		fmt.Sscan(code, &n)
		l.api.query(t, `mutation($in: CreateProductInput!) { createProduct(input: $in) { product { id } } }`,
			map[string]any{"in": map[string]any{"firm": firm, "code": n, "name": name}}, nil)
	}
	return l
}

func (l *life) path(name string) string { return l.dir + "/" + name }

func (l *life) write(name string, b []byte) string {
	l.t.Helper()
	if err := os.WriteFile(l.path(name), b, 0o600); err != nil {
		l.t.Fatal(err)
	}
	return l.path(name)
}

func (l *life) read(name string) []byte {
	l.t.Helper()
	b, err := os.ReadFile(l.path(name))
	if err != nil {
		l.t.Fatal(err)
	}
	return b
}

func (l *life) copy(from, to string) { l.write(to, l.read(from)) }

func (l *life) json(out any, args ...string) {
	l.t.Helper()
	raw := must(l.t, args...)
	if err := json.Unmarshal([]byte(raw), out); err != nil {
		l.t.Fatalf("quorate %s: %v\n%s", strings.Join(args, " "), err, raw)
	}
}

// at adds the platform and the token to a command of the vendor's.
func (l *life) at(args ...string) []string {
	return append(slices.Clone(args), "--url", l.api.url, "--token", l.api.token)
}

func (l *life) do(args ...string) string {
	l.t.Helper()
	return must(l.t, l.at(args...)...)
}

// refused is a command that must fail with a code; it gives what was said.
func refused(t testing.TB, code string, args ...string) string {
	t.Helper()
	out, errs, status := quorate(t, args...)
	if status != 1 || !strings.HasSuffix(strings.TrimSpace(errs), "["+code+"]") {
		t.Errorf("quorate %s: exit status %d, want [%s]\n%s%s", strings.Join(args, " "), status, code, out, errs)
	}
	return errs
}

func (l *life) refused(code string, args ...string) string {
	l.t.Helper()
	return refused(l.t, code, l.at(args...)...)
}

// item makes an item and gives its id.
func (l *life) item(product, name string, options ...string) string {
	l.t.Helper()
	var made struct{ ID string }
	l.json(&made, l.at(append([]string{"item", "create", product, name, "--json"}, options...)...)...)
	return made.ID
}

// credits are how many licenses of a product have come back.
func (l *life) credits(product string) int {
	l.t.Helper()
	var out struct {
		Credits []struct {
			Product  struct{ Reference string }
			Quantity int
		}
	}
	l.api.query(l.t, `{ credits { product { reference } quantity } }`, nil, &out)
	n := 0
	for _, c := range out.Credits {
		if c.Product.Reference == product {
			n += c.Quantity
		}
	}
	return n
}

// known is what the platform knows of a container.
type known struct {
	State         string
	SuspectReason string
	BlockReason   string
	UpdateCounter int
	ReplacedBy    *struct{ Serial string }
	Licenses      []struct {
		Product                    struct{ Reference string }
		Quantity, Waiting, Leaving int
	}
	Rollout   *struct{ ID, State string }
	Transfers struct{ Edges []struct{ Node transferred } }
}

type transferred struct{ ID, Kind, State, Note string }

func (k known) quantity(product string) int {
	for _, l := range k.Licenses {
		if l.Product.Reference == product {
			return l.Quantity
		}
	}
	return 0
}

// box is a container outside of TMR groups, with a license server of its own.
type box struct {
	*life
	name, serial string
	args         []string
	server       *process // nil: it doesn't run
}

// box makes a container and registers it; linked: its server has a link.
func (l *life) box(name, serial, customer string, linked bool) *box {
	l.t.Helper()
	b := &box{life: l, name: name, serial: serial}
	must(l.t, "container", "create", b.file(), "--serial", serial, "--root", l.root, "--bind", "none", "--fingerprint", l.path(name+".first")) // a test machine may lack traits
	register := []string{"container", "register", b.request("first"), "--customer", customer, "--json"}
	b.args = []string{
		"server", "--container", b.file(), "--name", name, "--listen", testenv.FreeAddr(l.t), "--plain", "--lease", "2s",
		"--leases", l.path(name + ".leases"), "--key", l.path(name + ".key"), "--token-key", l.path(name + ".token.key"), "--json",
	}
	if linked {
		register = append(register, "--server", name, "--address", "127.0.0.1")
	}
	var made struct {
		Container struct{ Serial, State string }
		LinkToken string
	}
	l.json(&made, l.at(register...)...)
	if made.Container.Serial != serial || made.Container.State != "UP_TO_DATE" || (made.LinkToken != "") != linked {
		l.t.Fatalf("registered: %+v", made.Container)
	}
	if linked {
		b.args = append(b.args, "--platform", l.api.url, "--link-token", l.write(name+".link", []byte(made.LinkToken)))
	}
	return b
}

func (b *box) file() string { return b.path(b.name + ".qrc") }

func (b *box) start() {
	b.t.Helper()
	b.server = start(b.t, b.name, b.args...)
}

func (b *box) stop() {
	b.t.Helper()
	b.server.stop(b.t)
	b.server = nil
}

func (b *box) kill() {
	b.server.kill()
	b.server = nil
}

func (b *box) url() string { return b.server.ready["licenseServer"] }

// request writes a request file and gives its path.
func (b *box) request(name string) string {
	b.t.Helper()
	path := b.path(b.name + "-" + name + ".lreq")
	must(b.t, "request", "--container", b.file(), "-o", path)
	return path
}

// offline hands a request in: the update file's path and the rollout's id.
func (b *box) offline(request, name string) (update, rollout string) {
	b.t.Helper()
	update = b.path(b.name + "-" + name + ".lupd")
	var r struct{ ID, State string }
	b.json(&r, b.at("offline", "start", b.serial, request, "-o", update, "--json")...)
	if r.State != "STAGING" {
		b.t.Fatalf("the rollout of %s is %s", b.serial, r.State)
	}
	return update, r.ID
}

// apply installs an update file and gives the receipt's path, and what was told.
func (b *box) apply(update string) (receipt, told string) {
	b.t.Helper()
	receipt = strings.TrimSuffix(update, ".lupd") + ".lrcp"
	_, told, status := quorate(b.t, "apply", update, "--container", b.file(), "--receipt", receipt)
	if status != 0 {
		b.t.Fatalf("apply %s: exit status %d\n%s", update, status, told)
	}
	return receipt, told
}

func (b *box) finish(rollout, receipt string) {
	b.t.Helper()
	var r struct{ State string }
	b.json(&r, b.at("offline", "finish", rollout, receipt, "--json")...)
	if r.State != "DONE" {
		b.t.Fatalf("finished, and the rollout is %s", r.State)
	}
}

// byFiles rolls out what is due, there and back.
func (b *box) byFiles(name string) {
	b.t.Helper()
	update, id := b.offline(b.request(name), name)
	receipt, _ := b.apply(update)
	b.finish(id, receipt)
}

// overLink rolls out what is due, and waits until it is done.
func (b *box) overLink() {
	b.t.Helper()
	var r struct{ State string }
	b.json(&r, b.at("rollout", "start", b.serial, "--wait", "--json")...)
	if r.State != "DONE" {
		b.t.Fatalf("the rollout is %s", r.State)
	}
}

// startRollout begins to roll out over the link what is due.
func (b *box) startRollout() (id string) {
	b.t.Helper()
	var out struct {
		StartRollout struct{ Rollout struct{ ID string } }
	}
	b.api.query(b.t, `mutation($c: ID!) { startRollout(input: {container: $c}) { rollout { id } } }`, map[string]any{"c": b.serial}, &out)
	return out.StartRollout.Rollout.ID
}

func (b *box) buy(item string, quantity int, more ...string) {
	b.t.Helper()
	b.do(append([]string{"order", b.serial, fmt.Sprint(quantity), "--item", item}, more...)...)
}

const knownFields = `state suspectReason blockReason updateCounter replacedBy { serial } rollout { id state }
	licenses { product { reference } quantity waiting leaving } transfers(first: 100) { edges { node { id kind state note } } }`

func (b *box) known() known {
	b.t.Helper()
	var out struct{ Container *known }
	b.api.query(b.t, `query($s: String!) { container(serial: $s) { `+knownFields+` } }`, map[string]any{"s": b.serial}, &out)
	if out.Container == nil {
		b.t.Fatalf("there is no container %s", b.serial)
	}
	return *out.Container
}

// wantState asserts the one word that the platform has for the container.
func (b *box) wantState(want string) known {
	b.t.Helper()
	k := b.known()
	if k.State != want {
		b.t.Errorf("%s is %s (%s), want %s", b.serial, k.State, k.SuspectReason, want)
	}
	return k
}

// held are the quantities in the file, by product; its server must not run.
func (b *box) held() map[string]int {
	b.t.Helper()
	var shown struct {
		Licenses []struct {
			Product  string
			Quantity int
		}
	}
	b.json(&shown, "container", "show", b.file(), "--json")
	all := map[string]int{}
	for _, l := range shown.Licenses {
		all[l.Product] = l.Quantity
	}
	return all
}

func (b *box) wantHeld(want map[string]int) {
	b.t.Helper()
	if got := b.held(); fmt.Sprint(got) != fmt.Sprint(want) {
		b.t.Errorf("%s holds %v, want %v", b.serial, got, want)
	}
}

// shown is a line of quorate ls, or the answer of quorate why.
type shown struct {
	Product, Name string
	Usable        bool
	Total, Free   int
	FeatureMap    int
	UnitsLeft     *int
	Handles       []struct{ ID, Application string }
	Reasons       []struct{ Code, Message, Fix string }
	Certified     time.Time
	FirstUse      *time.Time
	Options       struct {
		Quantity, FeatureMap, UsagePeriodSeconds, LingerSeconds int
		Units                                                   *int
		Activation, Expiration                                  *time.Time
		MaintenanceFrom, MaintenanceUntil                       *time.Time
		MinimumVersion, Text                                    string
		ProtectedData, SecretData                               bool
	}
}

// ls is what the server lists of a product.
func (b *box) ls(product string) shown {
	b.t.Helper()
	var all []shown
	b.json(&all, "ls", "--server", b.url(), "--product", product, "--json")
	if len(all) == 0 {
		return shown{}
	}
	return all[0]
}

// why asks whether a license could be used; the exit status says the same.
func (b *box) why(product string, stated ...string) shown {
	b.t.Helper()
	out, errs, status := quorate(b.t, append([]string{"why", "--server", b.url(), product, "--json"}, stated...)...)
	var w shown
	if err := json.Unmarshal([]byte(out), &w); err != nil {
		b.t.Fatalf("why: %v\n%s%s", err, out, errs)
	}
	if w.Usable != (status == 0) || w.Usable != (len(w.Reasons) == 0) {
		b.t.Errorf("why: exit status %d for %+v", status, w)
	}
	for _, r := range w.Reasons {
		if r.Message == "" || r.Fix == "" {
			b.t.Errorf("a reason without a message or a fix: %+v", r)
		}
	}
	return w
}

// program runs one under quorate run until the test ends, and waits until it
// has its license.
func (b *box) program(product string, stated ...string) *process {
	b.t.Helper()
	seats := len(b.ls(product).Handles)
	args := append([]string{"run", "--server", b.url(), "--product", product}, stated...)
	p := launch(b.t, "program", append(args, "--", "sleep", "300")...)
	b.t.Cleanup(func() { _ = p.end(syscall.SIGTERM) }) // not killed: it ends the program first
	testenv.Eventually(b.t, 20*time.Second, func() error {
		select {
		case <-p.exited:
			b.t.Fatalf("the program got no license: %s", p.output())
		default:
		}
		if n := len(b.ls(product).Handles); n != seats+1 {
			return fmt.Errorf("%d handles, before it were %d", n, seats)
		}
		return nil
	})
	return p
}

// lost waits until a program was ended for want of its license, and gives what
// was told.
func lost(t testing.TB, p *process) string {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(20 * time.Second):
		t.Fatal("the program goes on without a license")
	}
	if p.cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("the program ended with %v", p.err)
	}
	return p.output()
}

func wantRunning(t testing.TB, p *process) {
	t.Helper()
	select {
	case <-p.exited:
		t.Errorf("the program was ended: %v %s", p.err, p.output())
	default:
	}
}
