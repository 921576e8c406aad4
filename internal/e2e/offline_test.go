package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/testenv"
)

// offline is a five-server system whose only way to the platform is a person
// with files.
type offline struct {
	*lab
	leads int // the TMR server that is active
}

func (o *offline) server() string { return o.tmr[o.leads].ready["licenseServer"] }

// wait until the active TMR server sees all three backends.
func (o *offline) ready() {
	o.t.Helper()
	testenv.Eventually(o.t, 30*time.Second, func() error {
		if _, errs, status := quorate(o.t, "request", "--server", o.server(), "-o", o.path("probe.lreq")); status != 0 {
			return fmt.Errorf("%s", errs)
		}
		return nil
	})
}

func (o *offline) asPlatform(args ...string) []string {
	return append(args, "--url", o.api.url, "--token", o.api.token)
}

// start orders and gives the rollout's id; the update is in NAME.lupd.
func (o *offline) start(name string, quantity int) string {
	o.t.Helper()
	o.api.order(o.t, quantity)
	must(o.t, "request", "--server", o.server(), "-o", o.path(name+".lreq"))
	var r struct{ ID, State string }
	o.json(&r, o.asPlatform("offline", "start", virtual, o.path(name+".lreq"), "-o", o.path(name+".lupd"), "--json")...)
	if r.State != "STAGING" {
		o.t.Fatalf("the rollout is %s", r.State)
	}
	return r.ID
}

func (o *offline) apply(name string) (stderr string, status int) {
	o.t.Helper()
	_, errs, status := quorate(o.t, "apply", o.path(name+".lupd"), "--server", o.server(), "--receipt", o.path(name+".lrcp"))
	return errs, status
}

func (o *offline) finish(name, id string) {
	o.t.Helper()
	var r struct{ State string }
	o.json(&r, o.asPlatform("offline", "finish", id, o.path(name+".lrcp"), "--json")...)
	if r.State != "DONE" {
		o.t.Errorf("finished, and the rollout is %s", r.State)
	}
}

// status is the group's line and quantity, as quorate ls shows it.
func (o *offline) status() string {
	o.t.Helper()
	var l []struct {
		Total  int
		Status string
	}
	o.json(&l, "ls", "--server", o.server(), "--json")
	if len(l) != 1 {
		return fmt.Sprintf("%d licenses", len(l))
	}
	return fmt.Sprintf("%s | %d", l[0].Status, l[0].Total)
}

// statuses are those that a TMR server went through, by its log.
func statuses(p *process, after int) []string {
	var all []string
	for _, m := range regexp.MustCompile(`msg="view changed".* status="([^"]*)"`).FindAllStringSubmatch(p.output()[after:], -1) {
		all = append(all, m[1])
	}
	return all
}

// The job of the domain's table, without a wire between the vendor and the
// customer: 20 licenses become 30, and programs keep theirs.
func TestOfflineByFiles(t *testing.T) {
	o := &offline{lab: newLab(t, labConfig{offline: true})}
	o.leads = o.leader(0, 1)
	o.ready()

	first := o.start("first", 20)
	if errs, status := o.apply("first"); status != 0 {
		t.Fatal(errs)
	}
	o.finish("first", first)
	if got := o.status(); got != "1:#7 2:#7 3:#7 | 20" {
		t.Fatalf("the group shows %s", got)
	}

	p := newPrograms(t, o.programServers()...)
	p.take(20)
	late, err := p.open("late")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := late.Access(context.Background(), product); client.CodeOf(err) != client.CodeNoFreeSeat {
		t.Fatalf("the 21st program: %v", err)
	}

	second := o.start("second", 10)
	o.refusals("second")
	before := len(o.tmr[o.leads].output())
	errs, status := o.apply("second")
	if status != 0 {
		t.Fatal(errs)
	}
	var want []string
	for _, s := range stages()[1:] {
		want = append(want, s.Status)
	}
	if got := statuses(o.tmr[o.leads], before); !slices.Equal(got, want) {
		t.Errorf("the stages were\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if !strings.Contains(errs, "backend 1: the other two carry the licenses") || !strings.Contains(errs, "[1:(#8) 2:#7 3:#7]") {
		t.Errorf("progress:\n%s", errs)
	}
	if n := strings.Count(errs, " certified: "); n != 3 || !strings.Contains(errs, "backend 1: time of 130-1874829 certified: ") {
		t.Errorf("the time of %d containers was certified:\n%s", n, errs)
	}
	p.wantAlive()
	if _, err := p.accessBy(context.Background(), late); err != nil {
		t.Errorf("the 21st program: %v", err)
	}
	o.finish("second", second)
	if got := o.status(); got != "1:#8 2:#8 3:#8 | 30" {
		t.Errorf("the group shows %s", got)
	}

	o.inspect()
	o.certify()
	o.killed(p)
}

// refusals: what is not the group's own next update changes nothing.
func (o *offline) refusals(name string) {
	o.t.Helper()
	text, err := os.ReadFile(o.path(name + ".lupd"))
	if err != nil {
		o.t.Fatal(err)
	}
	f, err := armor.Parse(text)
	if err != nil {
		o.t.Fatal(err)
	}
	f.Group.Number++
	wrong, err := armor.Encode(f)
	if err != nil {
		o.t.Fatal(err)
	}
	o.write("wrong.lupd", wrong)
	o.write("altered.lupd", bytes.Replace(text, []byte("number 2"), []byte("number 3"), 1))
	before, log := o.status(), len(o.tmr[o.leads].output())
	for _, c := range []struct{ file, code string }{
		{"wrong", "UPDATE_FOREIGN"}, {"altered", "UPDATE_TAMPERED"},
	} {
		if errs, status := o.apply(c.file); status != 1 || !strings.Contains(errs, c.code) {
			o.t.Errorf("%s: exit status %d, %s", c.file, status, errs)
		}
		if _, err := os.Stat(o.path(c.file + ".lrcp")); err == nil {
			o.t.Errorf("%s gave a receipt", c.file)
		}
	}
	if after := o.status(); after != before || len(statuses(o.tmr[o.leads], log)) != 0 {
		o.t.Errorf("a refused file changed the group from %s to %s", before, after)
	}
}

// inspect tells of each file what it is, and whether it holds.
func (o *offline) inspect() {
	o.t.Helper()
	res, err := http.Get(o.api.url + "/root-key")
	if err != nil {
		o.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		o.t.Fatal(err)
	}
	root := strings.TrimSpace(string(text))
	type inspected struct {
		Kind, Group string
		Parts       []struct {
			Container, Signature, Note, Time string
			Firms                            []struct{ Firm, Number int }
		}
	}
	for file, want := range map[string]struct {
		kind, signature string
		times           int // certificates, after the rest
	}{
		"second.lreq": {"request", "self-consistent", 0}, "second.lupd": {"update", "valid", 3}, "second.lrcp": {"receipt", "valid", 0},
	} {
		var got inspected
		o.json(&got, "inspect", o.path(file), "--root", root, "--request", o.path("second.lreq"), "--json")
		if got.Kind != want.kind || got.Group != virtual || len(got.Parts) != 3+want.times {
			o.t.Fatalf("%s: %+v", file, got)
		}
		for _, part := range got.Parts[3:] {
			if part.Signature != "valid" || part.Time == "" || !strings.HasSuffix(part.Note, "; it answers the request") {
				o.t.Errorf("%s: %+v", file, part)
			}
		}
		for _, part := range got.Parts[:3] {
			if part.Signature != want.signature || len(part.Firms) != 1 || part.Firms[0].Firm != 6000010 {
				o.t.Errorf("%s: %+v", file, part)
			}
		}
		if out := must(o.t, "inspect", o.path(file)); !strings.Contains(out, "131-4837572") || !strings.Contains(out, "130-27845973") {
			o.t.Errorf("%s in words: %s", file, out)
		}
	}
	foreign := base64.StdEncoding.EncodeToString(make([]byte, 32))
	if out, _, status := quorate(o.t, "inspect", o.path("second.lupd"), "--root", foreign); status != 1 || !strings.Contains(out, "signature invalid") {
		o.t.Errorf("under another root: exit status %d, %s", status, out)
	}
	if _, errs, status := quorate(o.t, "inspect", o.path("altered.lupd")); status != 1 || !strings.Contains(errs, "UPDATE_TAMPERED") {
		o.t.Errorf("an altered file: exit status %d, %s", status, errs)
	}
}

// certify has the time certified where nothing is due, once for each request.
func (o *offline) certify() {
	o.t.Helper()
	must(o.t, "request", "--server", o.server(), "-o", o.path("time.lreq"))
	must(o.t, o.asPlatform("offline", "certify", o.path("time.lreq"), "-o", o.path("time.lupd"))...)
	for range 2 { // the second time it is there
		if errs, status := o.apply("time"); status != 0 || strings.Count(errs, " certified: ") != 3 || !strings.Contains(errs, "the time is certified") {
			o.t.Errorf("the time alone: exit status %d, %s", status, errs)
		}
	}
	if _, err := os.Stat(o.path("time.lrcp")); err == nil {
		o.t.Error("the time alone gave receipts")
	}
	must(o.t, o.asPlatform("offline", "certify", o.path("time.lreq"), "-o", o.path("stale.lupd"))...)
	if errs, status := o.apply("stale"); status != 1 || !strings.Contains(errs, "TIME_STALE") {
		o.t.Errorf("a second answer to one request: exit status %d, %s", status, errs)
	}
}

// killed has the active TMR server killed while backend 2 is activating, and
// goes on with the other one.
func (o *offline) killed(p *programs) {
	o.t.Helper()
	id := o.start("third", 10)
	victim := o.tmr[o.leads]
	before := len(victim.output())
	run := launch(o.t, "apply", "apply", o.path("third.lupd"), "--server", o.server(), "--receipt", o.path("third.lrcp"))
	testenv.Eventually(o.t, 30*time.Second, func() error {
		if got := statuses(victim, before); !slices.Contains(got, "1:(#9) 2:- 3:#8") {
			return fmt.Errorf("stages so far: %v", got)
		}
		return nil
	})
	victim.kill()
	<-run.exited
	if run.err == nil {
		o.t.Error("an apply whose server was killed ended well")
	}
	o.leads = o.leader(1 - o.leads)
	o.ready()
	if errs, status := o.apply("third"); status != 0 || !strings.Contains(errs, "has the update already") {
		o.t.Fatalf("resumed: exit status %d\n%s", status, errs)
	}
	if got := o.status(); got != "1:#9 2:#9 3:#9 | 40" {
		o.t.Errorf("the group shows %s", got)
	}
	p.wantAlive()
	if errs, status := o.apply("second"); status != 1 || !strings.Contains(errs, "UPDATE_REPLAYED") || !strings.Contains(errs, "stale") {
		o.t.Errorf("a stale file: exit status %d, %s", status, errs)
	}

	// The receipts got lost: they are written again.
	if err := os.Remove(o.path("third.lrcp")); err != nil {
		o.t.Fatal(err)
	}
	must(o.t, "receipt", "--server", victim.ready["licenseServer"], "--server", o.server(), "-o", o.path("third.lrcp"))
	o.finish("third", id)
}

// One container, with its server stopped.
func TestOfflineForOneContainer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() + "/"
	seed := bytes.Repeat([]byte{1}, 32)
	root, firm := seal.NewSigner(seed), seal.NewSigner(bytes.Repeat([]byte{2}, 32))
	cert, err := seal.SignFirmCert(root, seal.FirmCert{Firm: 6000010, Key: firm.Public(), Serial: 1})
	if err != nil {
		t.Fatal(err)
	}
	must(t, "container", "create", dir+"c.qrc", "--serial", "130-77", "--root", base64.StdEncoding.EncodeToString(root.Public()), "--fingerprint", dir+"first", "--bind", "none")
	if _, errs, status := quorate(t, "receipt", "--container", dir+"c.qrc"); status != 1 || !strings.Contains(errs, "NOT_FOUND") {
		t.Errorf("a receipt of nothing: exit status %d, %s", status, errs)
	}
	request, err := armor.Parse([]byte(must(t, "request", "--container", dir+"c.qrc")))
	if err != nil {
		t.Fatal(err)
	}
	asked, err := seal.OpenFingerprint(request.Messages[0])
	if err != nil {
		t.Fatal(err)
	}
	private, _, err := seal.NewProductKey()
	if err != nil {
		t.Fatal(err)
	}
	update, err := seal.SealUpdate(firm, cert, asked.Identity, seal.UpdateHeader{Firm: 6000010, Serial: asked.Serial, Number: 1, IssuedAt: time.Now()}, seal.Payload{
		Set: []seal.Grant{{ProductKey: private, License: license.Held{License: license.License{
			Product: license.Product{Firm: 6000010, Code: 14}, Name: "Chart Processing", Options: license.Options{Quantity: 5},
		}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	text, err := armor.Encode(armor.File{Kind: armor.Update, Messages: [][]byte{update}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"one.lupd", text, 0o600); err != nil {
		t.Fatal(err)
	}
	receipt := must(t, "apply", dir+"one.lupd", "--container", dir+"c.qrc")
	if again := must(t, "receipt", "--container", dir+"c.qrc"); again != receipt {
		t.Error("the receipt again is another one")
	}
	f, err := armor.Parse([]byte(receipt))
	if err != nil {
		t.Fatal(err)
	}
	if r, err := seal.OpenReceipt(f.Messages[0], asked.Identity.Sign); err != nil || r.Number != 1 || r.Update != seal.Digest(update) {
		t.Errorf("the receipt is %+v, %v", r, err)
	}
	var shown struct {
		Licenses []struct{ Quantity int }
	}
	if err := json.Unmarshal([]byte(must(t, "container", "show", dir+"c.qrc", "--json")), &shown); err != nil || len(shown.Licenses) != 1 || shown.Licenses[0].Quantity != 5 {
		t.Errorf("it holds %+v, %v", shown, err)
	}
	for what, args := range map[string][]string{
		"INVALID_INPUT":  {"apply", dir + "one.lupd"},
		"NOT_FOUND":      {"apply", dir + "none.lupd", "--container", dir + "c.qrc"},
		"FORMAT_UNKNOWN": {"apply", dir + "c.qrc", "--container", dir + "c.qrc"},
	} {
		if _, errs, status := quorate(t, args...); status != 1 || !strings.Contains(errs, what) {
			t.Errorf("%v: exit status %d, %s", args, status, errs)
		}
	}
}
