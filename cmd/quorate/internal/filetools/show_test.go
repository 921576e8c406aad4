package filetools_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/container"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

// TestShowTellsOptionsAndUse: what a container holds is shown with each option,
// and with what was used of it; its data is not.
func TestShowTellsOptionsAndUse(t *testing.T) {
	l := newFilesLab(t)
	product := license.Product{Firm: 6000010, Code: 14}
	update, err := seal.SealUpdate(l.firm, l.cert, l.to, seal.UpdateHeader{Firm: 6000010, Serial: filesSerial, Number: 1},
		seal.Payload{Set: []seal.Grant{{
			License: license.Held{License: license.License{Product: product, Name: "Chart Processing", Options: license.Options{
				Units: new(uint64(100)), UsagePeriod: 72 * time.Hour, Secret: license.DataName{1}, Linger: time.Minute,
				AccessList: []license.AccessRule{{Kind: license.AccessUser, Value: "anna"}},
			}}},
			Secret: []byte("never shown"),
		}}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := container.Open(l.path("container.qrc"))
	if err != nil {
		t.Fatal(err)
	}
	staged, err := c.Stage(update)
	if err == nil {
		_, err = c.Activate(staged.Digest, nil)
	}
	if err == nil {
		_, err = c.TakeUnits(product, "0197b1a2-0000-7000-8000-000000000001", 40)
	}
	if err == nil {
		err = c.Started(product)
	}
	if err == nil {
		err = c.Close()
	}
	if err != nil {
		t.Fatal(err)
	}

	out, errs, status := l.quorate("container", "show", "@container.qrc")
	for _, want := range []string{
		"holds 6000010:14  Chart Processing  local only\n", "usage period 72h0m0s", "units 100\n", "access user:anna\n",
		"seats linger 1m0s\n", "has secret data\n", "first used at 20", "40 units used\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s%s", want, out, errs)
		}
	}
	text, _, _ := l.quorate("container", "show", "@container.qrc", "--json")
	var shown struct {
		Clock    struct{ Now time.Time }
		Licenses []struct {
			Units, UnitsUsed uint64
			FirstUse         time.Time
			SecretData       bool
		}
	}
	if err := json.Unmarshal([]byte(text), &shown); err != nil || status != 0 {
		t.Fatal(err, status)
	}
	if one := shown.Licenses[0]; one.Units != 100 || one.UnitsUsed != 40 || one.FirstUse.IsZero() || !one.SecretData || shown.Clock.Now.IsZero() {
		t.Errorf("it shows %s", text)
	}
	if strings.Contains(out+text, "never shown") {
		t.Error("secret data is shown")
	}
}
