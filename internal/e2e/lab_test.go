package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/testenv"
)

// lab is the five-server system with its platform, each a process of its own,
// set up by the commands that an operator uses.
type lab struct {
	t        testing.TB
	dir      string
	root     string
	api      api
	platform *process
	tmr      [2]*process
	backends [3]*process
	// args start each part again.
	args map[string][]string
}

type labConfig struct {
	database string    // empty: SQLite
	redis    string    // for the platform's news, when there is a database
	offline  bool      // the TMR servers know no platform; nothing is rolled out yet
	journals [3]string // where backends keep their seats; empty: a file each
	lease    string    // of handles; empty: labLease
	flags    []string  // more of the platform's
	// link gives the address at which TMR servers find the platform, which runs;
	// nothing is rolled out yet. nil: that of the platform.
	link func(l *lab) string
}

const (
	labLease = "10s"
	// patience leaves room for the race detector on a busy machine. How soon a
	// dead backend is seen is measured in internal/tmr.
	patience = "2s"
)

func newLab(t testing.TB, c labConfig) *lab {
	t.Helper()
	l := &lab{t: t, dir: t.TempDir(), args: map[string][]string{}}
	db := []string{"--database", l.path("platform.db"), "--master-key", l.path("master.key")}
	if c.database != "" {
		db = []string{"--database", c.database, "--master-key", l.path("master.key"), "--redis", c.redis}
	}

	var boot struct{ Root, Token, Password string }
	l.json(&boot, append([]string{"platform", "init", "--organization", "Example Vendor", "--email", "owner@example.com", "--json"}, db...)...)
	if boot.Root == "" || boot.Token == "" || boot.Password == "" {
		t.Fatalf("init printed %+v", boot)
	}
	addr := testenv.FreeAddr(t)
	l.args["platform"] = slices.Concat([]string{"platform", "--listen", addr, "--settle", "400ms", "--json"}, db, c.flags)
	l.platform = start(t, "platform", l.args["platform"]...)
	l.api, l.root = api{"http://" + addr, boot.Token}, boot.Root
	link := l.api.url
	if c.link != nil {
		link = c.link(l)
	}

	serials := []string{"130-1874829", "130-27845973", "130-3879234"}
	names := []string{"tmr-a", "tmr-b"}
	var pins []string
	for _, name := range names {
		pins = append(pins, strings.TrimSpace(must(t, "key", "tls", l.path(name+".key"))))
	}
	tokenKey := strings.TrimSpace(must(t, "key", "token", l.path("token.key")))
	var backends, prints []string
	for i, serial := range serials {
		name := fmt.Sprintf("backend-%d", i+1)
		print := l.path(name + ".lreq")
		must(t, "container", "create", l.path(name+".qrc"), "--serial", serial, "--root", boot.Root,
			"--activation-id", "00112233445566778899aabbccddeeff", "--fingerprint", print, "--bind", "none") // a test machine may lack traits
		prints = append(prints, print)
		pin := strings.TrimSpace(must(t, "key", "tls", l.path(name+".key")))
		addr := testenv.FreeAddr(t)
		l.args[name] = []string{"server", "--tmr", "--container", l.path(name + ".qrc"), "--listen", addr, "--key", l.path(name + ".key"), "--journal", cmp.Or(c.journals[i], l.path(name+".journal")),
			"--pin", pins[0], "--pin", pins[1], "--json"}
		l.backends[i] = start(t, name, l.args[name]...)
		backends = append(backends, serial+"@https://"+addr+"?pin="+pin)
	}

	spec, err := json.Marshal(map[string]any{
		"customer": "Acme Motors",
		"firm":     map[string]any{"code": 6000010, "name": "Example Vendor"},
		"product":  map[string]any{"code": 14, "name": "Chart Processing"},
		"item":     map[string]any{"name": "Chart Processing, 20 users", "quantity": 20, "featureMap": 1},
		"group": map[string]any{
			"name": "TMR Production", "virtual": virtual, "firstTmrId": 7, "tokenKey": tokenKey, "fingerprints": prints,
			"servers": []map[string]string{{"name": names[0], "address": "127.0.0.1"}, {"name": names[1], "address": "127.0.0.1"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	l.write("group.json", spec)
	var made struct {
		Servers []struct{ Name, LinkToken string }
	}
	l.json(&made, append([]string{"provision", l.path("group.json"), "--token", boot.Token, "--json"}, db...)...)
	for i, s := range made.Servers {
		l.write(s.Name+".token", []byte(s.LinkToken))
		args := []string{"tmr", "--name", s.Name, "--virtual", virtual, "--activation-id", "00112233445566778899aabbccddeeff", "--key", l.path(s.Name + ".key"), "--token-key", l.path("token.key"),
			"--listen", testenv.FreeAddr(t), "--plain", "--lease", cmp.Or(c.lease, labLease), "--new-group", "--term", "1s", "--patience", patience, "--json"}
		if !c.offline {
			args = append(args, "--platform", link, "--link-token", l.path(s.Name+".token"))
		}
		for _, b := range backends {
			args = append(args, "--backend", b)
		}
		l.args[s.Name] = args
		l.tmr[i] = start(t, s.Name, args...)
	}

	if c.offline || c.link != nil {
		return l
	}
	l.api.order(t, 20)
	l.api.startRollout(t)
	w := l.api.watchGroup(t)
	w.until(t, stages()[0])
	return l
}

func (l *lab) path(name string) string { return filepath.Join(l.dir, name) }

func (l *lab) write(name string, b []byte) {
	l.t.Helper()
	if err := os.WriteFile(l.path(name), b, 0o600); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) json(out any, args ...string) {
	l.t.Helper()
	raw := must(l.t, args...)
	if err := json.Unmarshal([]byte(raw), out); err != nil {
		l.t.Fatalf("quorate %s: %v\n%s", strings.Join(args, " "), err, raw)
	}
}

// programServers are the addresses of both TMR servers, as a program has them.
func (l *lab) programServers() []string {
	var all []string
	for _, s := range l.tmr {
		all = append(all, s.ready["licenseServer"])
	}
	return all
}

// leader waits until a TMR server leads and gives its index.
func (l *lab) leader(among ...int) int {
	l.t.Helper()
	found := -1
	testenv.Eventually(l.t, 20*time.Second, func() error {
		var leads []int
		for _, i := range among {
			if out, _, status := quorate(l.t, "ls", "--server", l.tmr[i].ready["licenseServer"], "--wait", "1s", "--json"); status == 0 && out != "" {
				leads = append(leads, i)
			}
		}
		if len(leads) != 1 {
			return fmt.Errorf("leading: %v of %v", leads, among)
		}
		found = leads[0]
		return nil
	})
	return found
}
