package admin

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/catalog"
	"github.com/quorate/quorate/internal/platform/provision"
)

// TestReplaceCommand puts new containers into a group, by the commands that
// people have.
func TestReplaceCommand(t *testing.T) {
	l := newItemLab(t)
	root, err := l.platform.RootKey(auth.With(t.Context(), auth.System("test")))
	if err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(l.dir, name) }
	create := func(n string) {
		t.Helper()
		l.quorate("container", "create", at("box"+n), "--serial", "130-"+n, "--root", base64.StdEncoding.EncodeToString(root), "--bind", "none",
			"--activation-id", "00112233445566778899aabbccddeeff", "--fingerprint", at("print"+n))
		l.quorate("request", "--container", at("box"+n), "-o", at("request"+n))
	}
	spec := provision.ProvisionSpec{
		Firm: catalog.FirmSpec{Code: 6000010}, Product: catalog.ProductSpec{Code: 14}, Item: catalog.ItemSpec{Name: "Charts TMR", Options: license.Options{Quantity: 1}},
		Group: provision.GroupSpec{
			Name: "Bridge", Virtual: license.Serial{Mask: 131, Number: 5}, TokenKey: make(ed25519.PublicKey, ed25519.PublicKeySize),
			Servers: []provision.ServerSpec{{Name: "a"}, {Name: "b"}},
		},
	}
	for i := range 3 {
		n := fmt.Sprint(801 + i)
		create(n)
		text, err := os.ReadFile(at("request" + n))
		if err != nil {
			t.Fatal(err)
		}
		f, err := armor.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		spec.Group.Fingerprints[i] = f.Messages[0]
	}
	if _, err := l.platform.Provision(auth.With(t.Context(), l.owner), spec); err != nil {
		t.Fatal(err)
	}
	create("901")
	out := l.quorate("container", "replace", "130-802", at("request901"), "--reason", "the disk broke", "--by-files")
	for _, want := range []string{"130-802 is blocked; 130-901 is backend 2 of 131-5.", "--backend '130-901@https://", "quorate offline start 131-5"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in %s", want, out)
		}
	}
	l.quorate("order", "131-5", "20")
	create("902")
	var made struct {
		Replaced  struct{ Serial, State string }
		Container struct {
			Serial   string
			Position int
		}
		Rollout *struct{ State string }
	}
	for range 2 { // again gives the same
		if err := json.Unmarshal([]byte(l.quorate("container", "replace", "130-803", at("request902"), "--reason", "lost", "--json")), &made); err != nil {
			t.Fatal(err)
		}
		if made.Replaced.State != "BLOCKED" || made.Container.Serial != "130-902" || made.Container.Position != 3 || made.Rollout == nil || made.Rollout.State != "COLLECTING" {
			t.Errorf("%+v", made)
		}
	}
	if out := l.quorate("container", "replace", "130-803", at("request902"), "--reason", "lost"); !strings.Contains(out, "quorate rollout status") {
		t.Errorf("%s", out)
	}
	if _, errs, status := l.command("container", "replace", "130-803", at("request901"), "--reason", "lost"); status == 0 || !strings.Contains(errs, "[CONFLICT]") {
		t.Errorf("by another one: %d %s", status, errs)
	}
}
