package filetools_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

func filesRoot() seal.Signer { return seal.NewSigner(bytes.Repeat([]byte{1}, 32)) }

func rootText(k ed25519.PublicKey) string { return base64.StdEncoding.EncodeToString(k) }

// asked is the fingerprint in a request file of the lab.
func (l *filesLab) asked(name string) seal.Fingerprint {
	l.t.Helper()
	f, err := armor.Parse([]byte(l.read(name)))
	if err != nil {
		l.t.Fatal(err)
	}
	print, err := seal.OpenFingerprint(f.Messages[0])
	if err != nil {
		l.t.Fatal(err)
	}
	return print
}

func (l *filesLab) pack(name string, kind armor.Kind, messages ...[]byte) {
	l.t.Helper()
	text, err := armor.Encode(armor.File{Kind: kind, Messages: messages})
	if err != nil {
		l.t.Fatal(err)
	}
	l.write(name, string(text))
}

// answer certifies the time for a request.
func (l *filesLab) answer(f seal.Fingerprint, change func(*seal.TimeCertificate)) []byte {
	l.t.Helper()
	c := seal.TimeCertificate{Serial: f.Serial, Nonce: f.TimeNonce, At: time.Now().UTC().Truncate(time.Millisecond)}
	if change != nil {
		change(&c)
	}
	b, err := seal.SignTime(filesRoot(), c)
	if err != nil {
		l.t.Fatal(err)
	}
	return b
}

func (l *filesLab) updates(name string) [][]byte {
	l.t.Helper()
	f, err := armor.Parse([]byte(l.read(name)))
	if err != nil {
		l.t.Fatal(err)
	}
	return f.Messages
}

func TestApplyCertifiesTheTime(t *testing.T) {
	l := newFilesLab(t)
	do := func(status int, args ...string) (string, string) {
		t.Helper()
		out, errs, got := l.quorate(args...)
		if got != status {
			t.Fatalf("quorate %s: %d, %s", strings.Join(args, " "), got, errs)
		}
		return out, errs
	}
	do(0, "request", "--container", "@container.qrc", "-o", "@one.lreq")
	request := l.asked("one.lreq")
	stale := l.answer(request, func(c *seal.TimeCertificate) { c.Nonce[0] ^= 1 })
	good := l.answer(request, nil)
	update := l.updates("one.lupd")[0]

	// A stale one is told, and the update is installed.
	l.pack("stale.lupd", armor.Update, update, stale)
	out, errs := do(0, "apply", "@stale.lupd", "--container", "@container.qrc")
	if !strings.HasPrefix(errs, "warning: the time of 130-1874829 is not certified: ") || !strings.Contains(errs, "update 1 of firm 6000010 is installed") || !strings.Contains(out, "QUORATE RECEIPT") {
		t.Errorf("%q, %q", out, errs)
	}
	// Alone it is an error.
	l.pack("alone.lupd", armor.Update, stale)
	if out, errs = do(cli.ExitFailure, "apply", "@alone.lupd", "--container", "@container.qrc", "--receipt", "@none.lrcp"); out != "" || !strings.HasSuffix(errs, "[TIME_STALE]\n") {
		t.Errorf("%q, %q", out, errs)
	}
	forged, err := seal.SignTime(l.firm, seal.TimeCertificate{Serial: filesSerial, Nonce: request.TimeNonce, At: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	l.pack("forged.lupd", armor.Update, forged, update)
	if out, errs = do(cli.ExitFailure, "apply", "@forged.lupd", "--container", "@container.qrc"); out != "" || !strings.HasSuffix(errs, "[TIME_FORGED]\n") {
		t.Errorf("%q, %q", out, errs)
	}
	// The certificate alone gives no receipts; applied again, nothing changes.
	l.pack("time.lupd", armor.Update, good)
	for range 2 {
		out, errs = do(0, "apply", "@time.lupd", "--container", "@container.qrc", "--receipt", "@none.lrcp")
		if out != "" || !strings.HasPrefix(errs, "time of 130-1874829 certified: 20") || cli.Exists(l.path("none.lrcp")) {
			t.Errorf("%q, %q", out, errs)
		}
	}
	do(0, "request", "--container", "@container.qrc", "-o", "@one.lreq")
	if next := l.asked("one.lreq"); next.Clock.Certified.IsZero() || next.TimeNonce == request.TimeNonce {
		t.Errorf("the container was certified at %s, its nonce is %x", next.Clock.Certified, next.TimeNonce)
	}
}

func TestInspectTimeCertificates(t *testing.T) {
	l := newFilesLab(t)
	if _, errs, status := l.quorate("request", "--container", "@container.qrc", "-o", "@one.lreq"); status != 0 {
		t.Fatal(errs)
	}
	at := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	l.pack("time.lupd", armor.Update, l.answer(l.asked("one.lreq"), func(c *seal.TimeCertificate) { c.At = at }))
	l.pack("old.lupd", armor.Update, l.answer(l.asked("one.lreq"), func(c *seal.TimeCertificate) { c.At = at; c.Nonce[0] ^= 1 }))
	for _, c := range []struct {
		args   []string
		want   string
		status int
	}{
		{[]string{"@time.lupd"}, "time certificate: 2026-11-22T09:00:00Z\n    signature unchecked", 0},
		{[]string{"@time.lupd", "--root", rootText(filesRoot().Public()), "--request", "@one.lreq"}, "signature valid: signed with the root key; it answers the request\n", 0},
		{[]string{"@old.lupd", "--root", rootText(filesRoot().Public()), "--request", "@one.lreq"}, "it answers another request\n", 0},
		{[]string{"@time.lupd", "--root", rootText(l.firm.Public())}, "signature invalid: not signed with this root key", cli.ExitFailure},
	} {
		out, errs, status := l.quorate(append([]string{"inspect"}, c.args...)...)
		if status != c.status || !strings.Contains(out, c.want) {
			t.Errorf("%v: %d, %q, %q", c.args, status, out, errs)
		}
	}
	out, _, _ := l.quorate("inspect", "@time.lupd", "--json")
	var view struct{ Parts []map[string]any }
	if err := json.Unmarshal([]byte(out), &view); err != nil || view.Parts[0]["time"] != "2026-11-22T09:00:00Z" {
		t.Errorf("%s", out)
	}
}

func TestInspectShowsEveryOption(t *testing.T) {
	l := newFilesLab(t)
	identity, err := seal.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	chart := license.Product{Firm: 6000010, Code: 14}
	day := func(y int) time.Time { return time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC) }
	b, err := seal.SignFingerprint(identity, seal.Fingerprint{
		Serial: filesSerial, Root: l.firm.Public(),
		Licenses: []license.Held{{
			License: license.License{Product: chart, Name: "Chart", Options: license.Options{
				Quantity: 30, TMRID: 8, Activation: day(2026), Expiration: day(2030), Units: new(uint64(1000)), Issue: 2, FeatureMap: 0x80000001,
				Maintenance: license.Maintenance{From: day(2025), Until: day(2027)}, MinimumVersion: "10.4.1", Text: "for\x1b Anna",
				AccessList: []license.AccessRule{{Kind: license.AccessUser, Value: "anna"}, {Deny: true, Kind: license.AccessSubnet, Value: "10.0.0.0/8"}},
				Linger:     90 * time.Second, Protected: license.DataName{1}, Secret: license.DataName{2},
			}},
			Predecessor: &license.Options{Quantity: 20, TMRID: 7},
		}, {License: license.License{Product: license.Product{Firm: 6000010, Code: 15}, Name: "Trial", Options: license.Options{UsagePeriod: 90 * 24 * time.Hour}}}},
		Clock: seal.Clock{Highest: day(2026).Add(time.Hour), Certified: day(2026)},
		Trail: []seal.Sighting{{Count: 4}, {Count: 5}}, Meters: []seal.Meter{{Product: chart, Issue: 2, First: day(2026), Units: 40}},
	})
	if err != nil {
		t.Fatal(err)
	}
	l.pack("all.lreq", armor.Request, b)
	out, errs, status := l.quorate("inspect", "@all.lreq")
	if status != 0 {
		t.Fatal(errs)
	}
	for _, want := range []string{
		"holds 6000010:14  Chart  quantity 30  TMR-ID #8", "valid from 2026-01-01T00:00:00Z", "valid until 2030-01-01T00:00:00Z", "units 1000", "issue 2",
		"features 0x80000001", "for releases from 2025-01-01", "for releases until 2027-01-01", "for version 10.4.1 and later", "access user:anna", "access !subnet:10.0.0.0/8",
		"seats linger 1m30s", "has protected data", "has secret data", "text: for\uFFFD Anna", "before its last update: quantity 20  TMR-ID #7",
		"holds 6000010:15  Trial  local only", "usage period 2160h0m0s", "used  6000010:14  issue 2, 40 units, since 2026-01-01T00:00:00Z",
		"clock: highest time 2026-01-01T01:00:00Z, certified at 2026-01-01T00:00:00Z", "its fingerprint number 5",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not told in\n%s", want, out)
		}
	}
	out, _, _ = l.quorate("inspect", "@all.lreq", "--json")
	for _, want := range []string{`"units":1000`, `"accessList":["user:anna","!subnet:10.0.0.0/8"]`, `"usagePeriodSeconds":7776000`, `"trail":5`, `"predecessor":{"quantity":20`, `"secretData":true`, `"firstUse":"2026-01-01T00:00:00Z"`} {
		var compact bytes.Buffer
		if err := json.Compact(&compact, []byte(out)); err != nil || !strings.Contains(compact.String(), want) {
			t.Errorf("%s is not in %s", want, compact.String())
		}
	}
}

// A fingerprint comes as container create writes it, or as a request file.
func TestBothFormsOfAFingerprint(t *testing.T) {
	l := newFilesLab(t)
	root := rootText(filesRoot().Public())
	if _, errs, status := l.quorate("container", "create", "@c.qrc", "--serial", "130-77", "--root", root, "--bind", "none", "--fingerprint", "@bare"); status != 0 {
		t.Fatal(errs)
	}
	if _, errs, status := l.quorate("request", "--container", "@c.qrc", "-o", "@armoured"); status != 0 {
		t.Fatal(errs)
	}
	for _, name := range []string{"bare", "armoured"} {
		out, errs, status := l.quorate("inspect", "@"+name, "--root", root)
		if status != 0 || !strings.Contains(out, "130-77") || !strings.Contains(out, "under this platform's root key") {
			t.Errorf("inspect %s: %d, %q, %q", name, status, out, errs)
		}
		if _, errs, status := l.quorate("inspect", "@one.lupd", "--request", "@"+name); status != 0 {
			t.Errorf("inspect --request %s: %s", name, errs)
		}
	}
	damaged := []byte(l.read("bare"))
	// Another letter, of which each is Base64.
	at := len(damaged) / 2
	damaged[at] = "AB"[bytes.Count(damaged[at:at+1], []byte("A"))]
	l.write("damaged", string(damaged))
	if out, errs, status := l.quorate("inspect", "@damaged"); status != cli.ExitFailure || out != "" || !strings.HasSuffix(errs, "[FINGERPRINT_FORGED]\n") {
		t.Errorf("%d, %q, %q", status, out, errs)
	}
	if out, errs, status := l.quorate("inspect", "-", "--request", "-"); status != cli.ExitFailure || out != "" || !strings.Contains(errs, "read once") || !strings.HasSuffix(errs, "[INVALID_INPUT]\n") {
		t.Errorf("standard input twice: %d, %q, %q", status, out, errs)
	}
}

func TestAdminTokensStayOffTheWire(t *testing.T) {
	l := newFilesLab(t)
	// A port that nobody listens on: what is sent fails otherwise.
	for _, c := range []struct {
		server, code string
		args         []string
	}{
		{"http://192.0.2.1:7400", "INVALID_INPUT", nil},
		{"http://licenses.example.com:7400", "INVALID_INPUT", nil},
		{"http://127.0.0.1.example.com:1", "INVALID_INPUT", nil},
		{"http://localhost:1", "UNAVAILABLE", nil},
		{"http://[::1]:1", "UNAVAILABLE", nil},
		{"http://127.0.0.1:1", "UNAVAILABLE", nil},
		{"http://127.0.0.1.example.invalid:1", "UNAVAILABLE", []string{"--insecure"}},
		{"https://127.0.0.1:1", "UNAVAILABLE", nil},
	} {
		for _, args := range [][]string{
			{"request"}, {"receipt"}, {"apply", "@group.lupd"}, {"release", "6000010:14", "h", "--wait", "10ms"},
		} {
			if args[0] == "apply" {
				l.group("group.lupd")
			}
			args = append(append(args, "--server", c.server, "--admin-token", "canary"), c.args...)
			out, errs, status := l.quorate(args...)
			if status != cli.ExitFailure || out != "" || !strings.Contains(errs, "["+c.code+"]") || strings.Contains(errs, "canary") {
				t.Errorf("%v: %d, %q, %q", args, status, out, errs)
			}
		}
	}
	// Where the token isn't used, no server matters.
	if _, errs, status := l.quorate("request", "--container", "@container.qrc", "--server", "http://192.0.2.1:1", "--admin-token", "x"); status != 0 {
		t.Errorf("with a container: %s", errs)
	}
}

// group writes an update file of three containers.
func (l *filesLab) group(name string) {
	l.t.Helper()
	f := armor.File{Kind: armor.Update, Group: license.Serial{Mask: 131, Number: 5}}
	for n := range uint64(3) {
		f.Messages = append(f.Messages, l.answer(seal.Fingerprint{Serial: license.Serial{Mask: 130, Number: n + 1}, TimeNonce: [16]byte{1}}, nil))
	}
	text, err := armor.Encode(f)
	if err != nil {
		l.t.Fatal(err)
	}
	l.write(name, string(text))
}

func TestOfflineCertify(t *testing.T) {
	l := newFilesLab(t)
	if _, errs, status := l.quorate("request", "--container", "@container.qrc", "-o", "@one.lreq"); status != 0 {
		t.Fatal(errs)
	}
	l.pack("answer.lupd", armor.Update, l.answer(l.asked("one.lreq"), nil))
	answer := l.read("answer.lupd")
	platform := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var asked struct {
			Query     string
			Variables struct{ Input struct{ Request string } }
		}
		b, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(b, &asked)
		}
		if err != nil || !strings.Contains(asked.Query, "certifyTime(") || asked.Variables.Input.Request != l.read("one.lreq") || r.Header.Get("Authorization") != "Bearer t" {
			t.Errorf("asked %s, %v", b, err)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"data": map[string]any{"certifyTime": map[string]any{
			"update": answer, "certifiedAt": "2026-11-22T09:00:00Z", "containers": []map[string]string{{"serial": "130-1874829"}},
		}}})
	}))
	defer platform.Close()
	out, errs, status := l.quorate("offline", "certify", "@one.lreq", "-o", "@one.time", "--url", platform.URL, "--token", "t")
	if status != 0 || out != "130-1874829: the time 2026-11-22T09:00:00Z\n" || l.read("one.time") != answer {
		t.Errorf("%d, %q, %q", status, out, errs)
	}
	out, errs, status = l.quorate("offline", "certify", "@one.lreq", "--url", platform.URL, "--token", "t", "--json")
	if status != 0 || out != answer || !strings.Contains(errs, `"serial":"130-1874829"`) {
		t.Errorf("%d, %q, %q", status, out, errs)
	}
	if _, errs, status = l.quorate("apply", "@one.time", "--container", "@container.qrc"); status != 0 {
		t.Errorf("applied: %s", errs)
	}
	for _, args := range [][]string{{"@one.lupd"}, {"@one.lreq", "-o", "@container.qrc"}} {
		was, err := os.ReadFile(l.path("container.qrc"))
		if err != nil {
			t.Fatal(err)
		}
		out, _, status := l.quorate(append([]string{"offline", "certify", "--url", platform.URL, "--token", "t"}, args...)...)
		if status != cli.ExitFailure || out != "" || l.read("container.qrc") != string(was) {
			t.Errorf("%v: %d, %q", args, status, out)
		}
	}
}
