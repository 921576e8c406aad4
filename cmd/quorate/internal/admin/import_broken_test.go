package admin

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/auth"
)

// keygenExport is the export that the importer's own tests read.
const keygenExport = "../../../../internal/importer/testdata/keygen.json"

// breaking stands before a platform, and breaks calls off that change something.
type breaking struct {
	done bool // the one that is broken off has been carried out

	mu   sync.Mutex
	left int // how many changes go through before
	hit  bool
}

// pass says whether a change goes through.
func (b *breaking) pass() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left == 0 {
		b.hit = true
		return false
	}
	b.left--
	return true
}

func (b *breaking) broke() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.hit
}

// behind gives the lab as it is seen through b.
func (l *itemLab) behind(b *breaking) *itemLab {
	l.t.Helper()
	to, err := url.Parse(l.url)
	if err != nil {
		l.t.Fatal(err)
	}
	pass := httputil.NewSingleHostReverseProxy(to)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if bytes.Contains(body, []byte(`"query":"mutation`)) && !b.pass() {
			if b.done {
				pass.ServeHTTP(httptest.NewRecorder(), r)
			}
			panic(http.ErrAbortHandler)
		}
		pass.ServeHTTP(w, r)
	}))
	front.Config.ErrorLog = nil
	l.t.Cleanup(front.Close)
	through := *l
	through.url = front.URL
	return &through
}

// counts are how many customers, items, orders and tickets there are.
func (l *itemLab) counts() string {
	l.t.Helper()
	var out map[string]struct{ TotalCount int }
	api := cli.APIFlags{URL: l.url, Token: "qrt_owner"}
	if err := api.Query(l.t.Context(), `{ organizations { totalCount } items { totalCount } orders { totalCount } tickets { totalCount } }`, nil, &out); err != nil {
		l.t.Fatal(err)
	}
	return fmt.Sprintf("%d customers, %d items, %d orders, %d tickets",
		out["organizations"].TotalCount-1, out["items"].TotalCount, out["orders"].TotalCount, out["tickets"].TotalCount)
}

// tickets are their codes with what they are for.
func (l *itemLab) tickets() (all []string) {
	l.t.Helper()
	var out struct {
		Tickets struct {
			Edges []struct {
				Node struct {
					Code, Reference string
					Customer        struct{ Name string }
					Lines           []struct {
						Item     struct{ Name string }
						Quantity int
					}
				}
			}
		}
	}
	api := cli.APIFlags{URL: l.url, Token: "qrt_owner"}
	if err := api.Query(l.t.Context(), `{ tickets { edges { node { code reference customer { name } lines { item { name } quantity } } } } }`, nil, &out); err != nil {
		l.t.Fatal(err)
	}
	for _, e := range out.Tickets.Edges {
		t := e.Node
		reference, _, _ := strings.Cut(t.Reference, " import:")
		all = append(all, fmt.Sprintf("%d × %s for %s: %s", t.Lines[0].Quantity, t.Lines[0].Item.Name, t.Customer.Name, reference))
	}
	slices.Sort(all)
	return all
}

func keygenArgs() []string {
	return []string{"keygen", keygenExport, "--product", "cad=6000010:14", "--accept-left-out"}
}

// A keygen export becomes customers, items and tickets, once: a second run finds
// all of it, with the same codes, and changes nothing.
func TestKeygenImportTwice(t *testing.T) {
	l := newItemLab(t)
	if _, errs, status := l.command("import", "keygen", keygenExport, "--product", "cad=6000010:14", "--apply"); status == 0 || !strings.Contains(errs, "--accept-left-out") {
		t.Errorf("licenses were left out without a word: %d %s", status, errs)
	}
	if got := l.counts(); got != "0 customers, 0 items, 0 orders, 0 tickets" {
		t.Fatalf("before: %s", got)
	}
	first := l.imported(keygenArgs()...)
	l.became(first, "customer made, customer made, item made, item made, item made, ticket made, ticket made, ticket made")
	want := []string{
		"1 × Floating for Acme Motors: keygen aaaaaaaa-0000-4000-8000-000000000003",
		"1 × Metered, 500 units for ops@beta.example: keygen d5d7b6ae-2d4a-4d2c-9f0e-0b7fa0e1a111",
		"25 × Floating, until 2027-07-01T12:00:00Z for Acme Motors: keygen 218810ed-2ac8-4c26-a725-a6da67500561",
	}
	if got := l.tickets(); !slices.Equal(got, want) {
		t.Errorf("tickets: %q", got)
	}
	again := l.imported(keygenArgs()...)
	l.became(again, "customer there, customer there, item there, item there, item there, ticket there, ticket there, ticket there")
	for i := range again {
		if again[i].ID != first[i].ID || again[i].Ticket != first[i].Ticket || (again[i].Kind == "ticket") != (len(again[i].Ticket) == 29) {
			t.Errorf("%+v, and before %+v", again[i], first[i])
		}
	}
	if got := l.counts(); got != "2 customers, 3 items, 0 orders, 3 tickets" {
		t.Errorf("after: %s", got)
	}
}

// An import that is broken off at whichever change, done by then or not, is
// complete after another run, and has nothing twice.
func TestImportsThatBreakOff(t *testing.T) {
	l := newItemLab(t)
	root, err := l.platform.RootKey(auth.With(t.Context(), auth.System("test")))
	if err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(l.dir, name) }
	l.quorate("container", "create", at("box"), "--serial", "130-701", "--root", base64.StdEncoding.EncodeToString(root), "--bind", "none", "--fingerprint", at("print"))
	l.quorate("request", "--container", at("box"), "-o", at("request"))
	l.quorate("container", "register", at("request"), "--customer", "Acme Motors")
	orders := l.file("orders.csv", "customer,product,item,quantity,place,reference\nAcme Motors,6000010:14,Floating,3,130-701,PO-1\nAcme Motors,6000010:14,Floating,2,,PO-2\nAcme Motors,6000010:14,Floating,2,,PO-2\n")
	options := l.file("vendor.opt", vendorOptions)
	for _, run := range []struct {
		args       []string
		end, count string
	}{
		{
			keygenArgs(),
			"customer there, customer there, item there, item there, item there, ticket there, ticket there, ticket there",
			"2 customers, 3 items, 0 orders, 3 tickets",
		},
		{[]string{"csv", orders}, "customer there, order there, ticket there, ticket there", "2 customers, 3 items, 1 orders, 5 tickets"},
		{
			[]string{"flexnet-options", options, "--feature", "charts=6000010:14", "--accept-left-out", "--place", "130-701"},
			"rules there", "2 customers, 3 items, 1 orders, 5 tickets",
		},
	} {
		broken := 0
		for n := 0; ; n++ {
			if n > 40 {
				t.Fatal("it makes no progress")
			}
			b := &breaking{left: n % 2, done: n%3 != 0}
			_, errs, status := l.behind(b).command(append(append([]string{"import"}, run.args...), "--apply", "--json")...)
			if !b.broke() {
				if status != 0 {
					t.Errorf("%s: %d %s", run.args[0], status, errs)
				}
				break
			}
			broken++
			if status == 0 || !strings.Contains(errs, `"code":"UNAVAILABLE"`) || run.args[0] != "flexnet-options" && !strings.Contains(errs, "run it again") {
				t.Errorf("%s, broken off: %d %s", run.args[0], status, errs)
			}
		}
		if broken == 0 {
			t.Errorf("%s was never broken off", run.args[0])
		}
		l.became(l.imported(run.args...), run.end)
		if got := l.counts(); got != run.count {
			t.Errorf("%s: %s", run.args[0], got)
		}
	}
	var rules struct{ RuleSet struct{ Version int } }
	api := cli.APIFlags{URL: l.url, Token: "qrt_owner"}
	if err := api.Query(t.Context(), `{ ruleSet(container: "130-701") { version } }`, nil, &rules); err != nil || rules.RuleSet.Version != 1 {
		t.Errorf("the rules have the version %d, %v", rules.RuleSet.Version, err)
	}
}
