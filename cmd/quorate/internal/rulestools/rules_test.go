package rulestools

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/lease/memlease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/licenseserver"
	"github.com/quorate/quorate/internal/licenseserver/servertest"
	"github.com/quorate/quorate/internal/seal"
)

type tree struct {
	Rules Rules `cmd:""`

	cli.Common
}

// quorate runs a command as the process does.
func quorate(t *testing.T, stdin string, args ...string) (out, errs string, status int) {
	t.Helper()
	var o, e bytes.Buffer
	status = cli.Run(t.Context(), &tree{}, "test", args, cli.Streams{In: strings.NewReader(stdin), Out: &o, Err: &e}, nil)
	return o.String(), e.String(), status
}

func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const sample = `group engineers user:anna user:ben
group interns user:carl
allow group:engineers product:6000010:14
allow group:interns   product:6000010:14
deny user:ben host:pc-2
reserve 2 group:engineers product:6000010:14 name:engineers-first
cap 1 group:interns firm:6000010
cap 9 everybody
priority 10 group:engineers
`

func want(t *testing.T, what string, status, wanted int, text string, parts ...string) {
	t.Helper()
	if status != wanted {
		t.Errorf("%s: exit status %d, want %d\n%s", what, status, wanted, text)
	}
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%s: %q is missing in\n%s", what, p, text)
		}
	}
}

func TestTestCommand(t *testing.T) {
	path := file(t, "rules.txt", sample)
	out, errs, status := quorate(t, "", "rules", "test", path, "--product", "6000010:14", "--user", "carl")
	want(t, "an intern", status, 0, out+errs, "6000010:14: allowed", "allow group:interns product:6000010:14 (line 4)", "at most", "cap 1 group:interns firm:6000010 (line 7)",
		"kept back", "2 for others", "name:engineers-first", "less specific", "cap 9 everybody (line 8)")
	out, _, status = quorate(t, sample, "rules", "test", "-", "--product", "6000010:14", "--user", "ben", "--host", "PC-2")
	want(t, "the product before all", status, 0, out, "allowed", "reserved for", "priority", "less specific  deny user:ben host:pc-2 (line 5)")
	out, _, status = quorate(t, "", "rules", "test", path, "--product", "6000010:15", "--user", "ben", "--host", "pc-2")
	want(t, "denied", status, 1, out, "refused", "deny user:ben host:pc-2 (line 5)")
	out, _, status = quorate(t, "", "rules", "test", path, "--product", "6000010:14", "--user", "dora")
	want(t, "not listed", status, 1, out, "refused", "no allow rule matches, and there are some for product:6000010:14")
	out, _, status = quorate(t, "", "rules", "test", path, "--product", "7:1", "--user", "dora")
	want(t, "another firm", status, 0, out, "no rule for access is about this")

	out, _, status = quorate(t, "", "rules", "test", path, "--product", "6000010:14", "--user", "anna", "--address", "10.1.2.3", "--json")
	var got struct {
		Allowed     bool
		Access, Cap *ruleView
		Priority    int
		Reserved    []*ruleView
		KeptBack    []*ruleView
		NotDeciding []*ruleView
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || status != 0 || !got.Allowed || got.Access.Line != 3 || *got.Cap.Number != 9 ||
		got.Priority != 10 || len(got.Reserved) != 1 || got.Reserved[0].Name != "engineers-first" || got.KeptBack == nil || len(got.NotDeciding) != 0 {
		t.Errorf("%v, %+v\n%s", err, got, out)
	}
	for _, args := range [][]string{
		{"rules", "test", path, "--product", "charts"}, {"rules", "test", path, "--product", "7:1", "--address", "pc-1"},
		{"rules", "test", file(t, "bad", "permit user:a"), "--product", "7:1"}, {"rules", "test", path + "x", "--product", "7:1"},
	} {
		if out, errs, status := quorate(t, "", args...); status == 0 || status == 1 && errs == "" || out != "" {
			t.Errorf("quorate %v: exit status %d, %q %q", args, status, out, errs)
		}
	}
}

func TestShowCommand(t *testing.T) {
	path := file(t, "rules.txt", sample)
	out, _, status := quorate(t, "", "rules", "show", path)
	want(t, "show", status, 0, out, "group engineers", "user:anna user:ben", "cap 9 everybody", "engineers-first")
	out, _, status = quorate(t, "", "rules", "show", path, "--product", "7:1")
	want(t, "of another firm", status, 0, out, "cap 9 everybody")
	if strings.Contains(out, "6000010:14") {
		t.Errorf("rules of another product\n%s", out)
	}
	out, _, status = quorate(t, "", "rules", "show", path, "--text")
	want(t, "text", status, 0, out, sample)
	out, _, status = quorate(t, "", "rules", "show", path, "--json")
	var got struct {
		Digest string
		Groups []struct{ Name string }
		Rules  []ruleView
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || status != 0 || len(got.Rules) != 7 || len(got.Groups) != 2 || got.Digest == "" {
		t.Errorf("%v, %s", err, out)
	}
	if _, errs, status := quorate(t, "", "rules", "show"); status == 0 || errs == "" {
		t.Error("neither a file nor a place")
	}
}

const grants = "Product,User,Client,first_access,ended_at,licenses,mode,colour\r\n" +
	"6000010:14,carl,pc-3,2026-10-01T08:00:00Z,2026-10-01T10:00:00Z,1,USER_LIMIT,red\r\n" +
	"6000010:14,carl,pc-4,2026-10-01T09:00:00Z,,,user-limit,\r\n" +
	"6000010:14,anna,pc-1,2026-10-01 09:30,2026-10-01 09:40,2,station-share,\r\n" +
	"6000010:14,'=dora,pc-1,2026-10-02T09:00:00Z,2026-10-02T09:10:00Z,1,,\r\n"

func TestCheckCommand(t *testing.T) {
	path := file(t, "rules.txt", sample)
	out, errs, status := quorate(t, "", "rules", "check", path)
	want(t, "alone", status, 0, out+errs, "rules.txt: 7 rules, 2 groups\n")
	out, errs, status = quorate(t, "", "rules", "check", file(t, "bad.txt", "allow user:anna\nallow colour:red\n"))
	if status == 0 || out != "" || !strings.Contains(errs, "bad.txt: line 2, column 7") {
		t.Errorf("a bad file: %d, %q %q", status, out, errs)
	}
	usage := file(t, "grants.csv", grants)
	out, errs, status = quorate(t, "", "rules", "check", path, "--usage", usage, "--quantity", "6000010:14=3")
	want(t, "past grants", status, 1, out+errs, "these 2 of 4 grants would have been refused", "carl, pc-4", "cap 1 group:interns firm:6000010 (line 7), and 1 were taken",
		"=dora", "not on the allow list of product:6000010:14")
	out, _, status = quorate(t, "", "rules", "check", path, "--usage", usage)
	want(t, "quantity not known", status, 1, out, "reservations were not checked for 6000010:14")
	exported := file(t, "allocations.csv", "id,container,product,productName,handle,mode,licenses,asked,user,station,firstAccess,endedAt\r\n"+
		"alc_1,130-1,6000010:14,Charts,h1,STATION_SHARE,5,1,ada,s1,2026-10-01T08:00:00Z,\r\n"+
		"alc_2,130-1,6000010:14,Charts,h2,STATION_SHARE,0,5,ada,s1,2026-10-01T09:00:00Z,\r\n")
	out, _, status = quorate(t, "cap 3 everybody", "rules", "check", "-", "--usage", exported)
	want(t, "an export of the platform", status, 1, out, "this one of 2 grants would have been refused", "2026-10-01T09:00:00Z", "1 were taken")
	out, _, status = quorate(t, "deny subnet:10.0.0.0/8", "rules", "check", "-", "--usage", usage)
	want(t, "addresses not known", status, 0, out, "none of 4 grants would have been refused", "4 more might have been, by the address")
	out, _, status = quorate(t, "", "rules", "check", path, "--usage", usage, "--json")
	var got struct {
		Rules  int
		Report reportView
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || status != 1 || got.Rules != 7 || got.Report.RefusedCount != 2 || got.Report.Checked != 4 ||
		got.Report.ByRule["cap group:interns firm:6000010"] != 1 {
		t.Errorf("%v, %+v", err, got)
	}
	for text, says := range map[string]string{
		"":                           "no CSV file",
		"user,start\n":               "no column product",
		"product,start\n7:1,today\n": "line 2: the start",
		"product,start\nx,2026-10-01T08:00:00Z\n":                 "line 2: \"x\" is not a product",
		"product,start,mode\n7:1,2026-10-01T08:00:00Z,WHATEVER\n": "not an access mode",
		"product,start,licenses\n7:1,2026-10-01T08:00:00Z,-1\n":   "licenses are not possible",
		"product,start\n\"7:1,2026\n":                             "no CSV",
	} {
		if _, errs, status := quorate(t, "", "rules", "check", path, "--usage", file(t, "bad.csv", text)); status == 0 || !strings.Contains(errs, says) {
			t.Errorf("%q: %d, %q, want %q", text, status, errs, says)
		}
	}
	if _, errs, status := quorate(t, "", "rules", "check", path, "--usage", usage, "--place", "131-1"); status == 0 || !strings.Contains(errs, "one check at a time") {
		t.Errorf("two checks: %q", errs)
	}
}

// The programs that run now, as administrators see them.
func TestCheckAgainstAServer(t *testing.T) {
	store, err := memlease.Open("", memlease.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	s, err := licenseserver.New(licenseserver.Config{
		Name: "a", Source: servertest.NewSource(3), Store: store, AdminToken: "secret",
		Signer: seal.NewSigner([]byte(strings.Repeat("s", 32))), Arbiter: licenseserver.Always{},
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(s.Handler())
	web := httptest.NewServer(mux)
	t.Cleanup(web.Close)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	path := file(t, "rules.txt", "deny user:carl\ncap 1 everybody\n")
	for _, user := range []string{"anna", "carl", "ben"} {
		sdk, err := client.Open(t.Context(), client.Config{Servers: []string{web.URL}, User: user, Address: "pc-1", Wait: 10 * time.Second, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer sdk.Close()
		if _, err := sdk.Access(t.Context(), "6000010:14"); err != nil {
			t.Fatal(err)
		}
	}
	out, errs, status := quorate(t, "", "rules", "check", path, "--server", web.URL, "--admin-token", "secret")
	want(t, "running", status, 1, out+errs, "these 2 of 3 programs that run now would have been refused", "carl, pc-1", "ben, pc-1")
	_, errs, status = quorate(t, "", "rules", "check", path, "--server", web.URL)
	if status == 0 || !strings.Contains(errs, "only administrators") {
		t.Errorf("without the token: %d, %q", status, errs)
	}
}

// fakePlatform answers GraphQL with what it is given, and keeps what it was asked.
func fakePlatform(t *testing.T, answers ...string) (asked *[]map[string]any) {
	t.Helper()
	asked = &[]map[string]any{}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m struct{ Variables map[string]any }
		b, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(b, &m); err != nil || len(answers) == 0 {
			t.Errorf("asked for %s: %v", b, err)
			return
		}
		*asked = append(*asked, m.Variables)
		_, _ = io.WriteString(w, answers[0])
		answers = answers[1:]
	}))
	t.Cleanup(web.Close)
	t.Setenv("QUORATE_URL", web.URL)
	t.Setenv("QUORATE_TOKEN", "token")
	return asked
}

func TestRulesAtThePlatform(t *testing.T) {
	path := file(t, "rules.txt", "deny user:carl\n")
	const now = `{"data": {"ruleSet": {"version": 4, "savedBy": "Olga", "createdAt": "2026-10-01T08:00:00Z", "digest": "d", "text": "allow user:anna\n"}}}`
	const refused = `{"since": "2026-09-01T00:00:00Z", "checked": 7, "complete": true, "refusedCount": 3, "refused": [{"rule": "deny user:carl", "reason": "carl of 6000010:14"}], "unsure": 0, "unknownQuantities": []}`

	asked := fakePlatform(t, now, `{"data": {"saveRules": {"saved": false, "ruleSet": {"version": 4}, "report": `+refused+`}}}`)
	out, errs, status := quorate(t, "", "rules", "save", path, "--place", "131-4837572")
	want(t, "not confirmed", status, 1, out+errs, "these 3 of 7 grants", "carl of 6000010:14", "and 2 more", "not saved")
	input := (*asked)[1]["input"].(map[string]any)
	if input["tmrGroup"] != "131-4837572" || input["expectedVersion"] != 4.0 || input["confirm"] != false || input["text"] != "deny user:carl\n" {
		t.Errorf("asked for %v", input)
	}
	asked = fakePlatform(t, `{"data": {"saveRules": {"saved": true, "ruleSet": {"version": 5}, "report": `+refused+`}}}`)
	out, errs, status = quorate(t, "", "rules", "save", path, "--place", "130-1874829", "--revision", "3", "--confirm")
	want(t, "confirmed", status, 0, out+errs, "saved as version 5")
	if input := (*asked)[0]["input"].(map[string]any); input["container"] != "130-1874829" || input["expectedVersion"] != 3.0 || input["confirm"] != true {
		t.Errorf("asked for %v", input)
	}
	fakePlatform(t, now)
	out, _, status = quorate(t, "", "rules", "show", "--place", "131-4837572")
	want(t, "show", status, 0, out, "version 4, saved by Olga", "allow user:anna")
	fakePlatform(t, `{"data": {"ruleSet": null}}`)
	if _, errs, status := quorate(t, "", "rules", "show", "--place", "131-4837572"); status == 0 || !strings.Contains(errs, "no such rules") {
		t.Errorf("none: %q", errs)
	}
	fakePlatform(t, `{"data": {"checkRules": `+refused+`}}`)
	out, _, status = quorate(t, "", "rules", "check", path, "--place", "131-4837572")
	want(t, "check", status, 1, out, "1 rule, 0 groups", "these 3 of 7 grants of the last 30 days would have been refused")
	fakePlatform(t, `{"errors": [{"message": "the rules were changed meanwhile", "extensions": {"code": "CONFLICT", "fix": "look"}}]}`)
	if _, errs, status := quorate(t, "", "rules", "save", path, "--place", "131-4837572", "--revision", "1"); status == 0 || !strings.Contains(errs, "meanwhile") {
		t.Errorf("a conflict: %q", errs)
	}
}

// Every help has an example.
func TestHelp(t *testing.T) {
	for _, c := range []string{"", "check", "test", "show", "save"} {
		out, _, status := quorate(t, "", strings.Fields("rules "+c+" --help")...)
		want(t, c, status, 0, out, "Examples:", "quorate rules")
	}
}

// TestMostUsage: a file is read as a whole or refused, never cut.
func TestMostUsage(t *testing.T) {
	text := "product,start\n7:1,2026-10-01T08:00:00Z\n7:1,2026-10-01T08:00:00Z\n"
	if all, err := bounded(strings.NewReader(text), int64(len(text))); err != nil || len(all) != 2 {
		t.Errorf("%d grants, %v", len(all), err)
	}
	for most := range int64(len(text)) {
		if all, err := bounded(strings.NewReader(text), most); license.CodeOf(err) != license.CodeTooLarge || all != nil {
			t.Fatalf("of %d bytes: %d grants, %v", most, len(all), err)
		}
	}
}

// FuzzUsage: what is accepted has a product, a start and a mode, and can be checked.
func FuzzUsage(f *testing.F) {
	f.Add(grants)
	f.Add("product,start\n7:1,2026-10-01T08:00:00Z\n")
	f.Add("\ufeffProduct;start\n")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := parseUsage(strings.NewReader(text))
		if err != nil {
			if license.CodeOf(err) != license.CodeInvalidInput {
				t.Fatal(err)
			}
			return
		}
		for _, g := range all {
			if g.Product.Firm == 0 || g.Start.IsZero() || !g.Mode.Valid() {
				t.Fatalf("%+v", g)
			}
		}
	})
}
