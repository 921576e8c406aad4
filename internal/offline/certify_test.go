package offline_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/container"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/offline"
	"github.com/quorate/quorate/internal/seal"
)

// certificate is the platform's answer to a container's request.
func (l *lab) certificate(c *container.Container, change func(*seal.TimeCertificate)) []byte {
	l.t.Helper()
	x := seal.TimeCertificate{Serial: c.Serial(), Nonce: c.TimeNonce(), At: time.Now().UTC().Truncate(time.Millisecond)}
	if change != nil {
		change(&x)
	}
	b, err := seal.SignTime(l.root, x)
	if err != nil {
		l.t.Fatal(err)
	}
	return b
}

func (l *lab) certificates(change func(*seal.TimeCertificate)) (all [][]byte) {
	l.t.Helper()
	for _, c := range l.containers {
		all = append(all, l.certificate(c, change))
	}
	return all
}

// steps applies a group's file, and gives what was told.
func (l *lab) steps(messages [][]byte) (steps []string, receipts [][]byte, err error) {
	receipts, err = l.applier().Apply(l.t.Context(), l.virtual, messages, func(s offline.Step) {
		steps = append(steps, fmt.Sprint(s.Kind, " ", s.Position, " ", s.Message))
	})
	return steps, receipts, err
}

func (l *lab) certified() (n int) {
	for _, c := range l.containers {
		if !c.Moment().Certified.IsZero() {
			n++
		}
	}
	return n
}

func TestTimeComesBeforeTheUpdates(t *testing.T) {
	l := newLab(t)
	file := slices.Concat(l.issue(30, 8), l.certificates(nil))
	l.calls = nil
	steps, receipts, err := l.steps(file)
	if err != nil || len(receipts) != 3 || l.certified() != 3 {
		t.Fatalf("%d receipts, %d certified, %v", len(receipts), l.certified(), err)
	}
	at := l.containers[0].Moment().Certified.UTC().Format(time.RFC3339)
	if !strings.HasPrefix(steps[0], "CHECKED 0") || steps[1] != "CERTIFIED 1 time of 130-1874829 certified: "+at || !strings.HasPrefix(steps[4], "STAGED") {
		t.Errorf("steps: %q", steps)
	}
	if first, staged := slices.Index(l.calls, "certify 1"), slices.Index(l.calls, "stage 1"); first < 0 || first > staged {
		t.Errorf("calls: %v", l.calls)
	}
	l.holds(30, 8)
	// The same file again finds the time certified, and takes nothing twice.
	l.calls = nil
	again, receipts, err := l.steps(file)
	if err != nil || len(receipts) != 3 || !slices.Equal(again[1:4], steps[1:4]) || slices.Contains(l.calls, "certify 1") {
		t.Errorf("again: %q, %v", again, err)
	}
}

func TestStaleTimeKeepsNoUpdateAway(t *testing.T) {
	l := newLab(t)
	stale := l.certificates(func(c *seal.TimeCertificate) { c.Nonce = [16]byte{1} })
	steps, receipts, err := l.steps(slices.Concat(stale[:1], l.issue(30, 8)))
	if err != nil || len(receipts) != 3 || l.certified() != 0 {
		t.Fatalf("%d receipts, %v", len(receipts), err)
	}
	if !strings.HasPrefix(steps[1], "WARNED 1 warning: the time of 130-1874829 is not certified: ") || !strings.Contains(steps[1], "installed all the same") {
		t.Errorf("steps: %q", steps)
	}
	l.holds(30, 8)
	// Alone it is what the file is for.
	good := l.certificates(nil)
	_, _, err = l.steps([][]byte{stale[0], good[1], good[2]})
	wantCode(t, "a stale one alone", err, license.CodeTimeStale)
	if l.certified() != 2 {
		t.Errorf("%d of the other two are certified", l.certified())
	}
}

func TestTimeAlone(t *testing.T) {
	l := newLab(t)
	file := l.certificates(nil)
	for range 2 { // the second time it finds them taken
		l.calls = nil
		steps, receipts, err := l.steps(file)
		if err != nil || len(receipts) != 0 || len(steps) != 4 || steps[3] != "DONE 0 the time is certified" {
			t.Fatalf("%q, %d receipts, %v", steps, len(receipts), err)
		}
		if slices.ContainsFunc(l.calls, func(c string) bool { return strings.HasPrefix(c, "stage") || strings.HasPrefix(c, "activate") }) {
			t.Errorf("calls: %v", l.calls)
		}
	}
	if l.certified() != 3 {
		t.Errorf("%d are certified", l.certified())
	}
	receipts, err := l.stream(t.Context(), l.serve("", ""), l.certificates(nil), string(offline.Done))
	if err != nil || len(receipts) != 0 {
		t.Errorf("by the service: %d receipts, %v", len(receipts), err)
	}
	l.leads = false
	_, _, err = l.steps(l.certificates(nil))
	wantCode(t, "at the standby", err, license.CodeNotLeader)
}

// A certificate that was forged, or is another's, keeps the whole file away.
func TestForgedTimeChangesNothing(t *testing.T) {
	l := newLab(t)
	updates, good := l.issue(30, 8), l.certificates(nil)
	stranger := *l
	stranger.root = seal.NewSigner(make([]byte, 32))
	foreign := l.certificate(l.containers[0], func(c *seal.TimeCertificate) { c.Serial.Number = 5 })
	altered := slices.Clone(good[1])
	altered[len(altered)-70]++ // the time
	for what, messages := range map[string][][]byte{
		"of another platform":  slices.Concat(updates, stranger.certificates(nil)[:1]),
		"altered":              slices.Concat(updates, [][]byte{altered}),
		"alone, of another":    stranger.certificates(nil),
		"alone, altered":       {good[0], altered, good[2]},
		"of a fourth":          slices.Concat(updates, [][]byte{foreign}),
		"of a fourth, alone":   {good[0], good[1], foreign},
		"twice":                slices.Concat(updates, good[:1], good[:1]),
		"for two of the three": good[:2],
	} {
		l.calls = nil
		steps, _, err := l.steps(messages)
		if code := license.CodeOf(err); code != license.CodeTimeForged && code != license.CodeUpdateTampered {
			t.Errorf("%s: %v", what, err)
		}
		if len(steps) != 0 || l.certified() != 0 || slices.ContainsFunc(l.calls, func(c string) bool { return !strings.HasPrefix(c, "fingerprint") }) {
			t.Errorf("%s came to %v %v", what, steps, l.calls)
		}
	}
	l.holds(20, 7)
}

func TestBackendsAwayAreTold(t *testing.T) {
	l := newLab(t)
	absent := license.Errorf(license.CodeBackendAbsent, "", "backend 1 does not answer")
	l.fault = func(call string) error {
		if call == "certify 1" {
			return absent
		}
		return nil
	}
	_, _, err := l.steps(slices.Concat(l.issue(30, 8), l.certificates(nil)))
	wantCode(t, "a backend away", err, license.CodeBackendAbsent)
	l.holds(20, 7)
}

func TestTimeForOneContainer(t *testing.T) {
	l := newLab(t)
	c, _ := l.create(77)
	private, _, err := seal.NewProductKey()
	if err != nil {
		t.Fatal(err)
	}
	update, err := seal.SealUpdate(l.firm, l.cert, c.Identity(), seal.UpdateHeader{Firm: firm, Serial: c.Serial(), Number: 1, IssuedAt: time.Now()},
		seal.Payload{Set: []seal.Grant{{License: license.Held{License: license.License{Product: chart(), Name: "Chart", Options: license.Options{Quantity: 1}}}, ProductKey: private}}})
	if err != nil {
		t.Fatal(err)
	}
	apply := func(messages ...[]byte) (steps []string, receipts int, err error) {
		all, err := offline.ApplyTo(c, armor.File{Kind: armor.Update, Messages: messages}, func(s offline.Step) { steps = append(steps, fmt.Sprint(s.Kind, " ", s.Message)) })
		return steps, len(all), err
	}
	empty := func() bool { _, held := c.Licenses(); return len(held) == 0 }
	stale := l.certificate(c, func(x *seal.TimeCertificate) { x.Nonce = [16]byte{1} })
	other := *l
	other.root = seal.NewSigner(make([]byte, 32))
	_, _, err = apply(stale)
	wantCode(t, "a stale one alone", err, license.CodeTimeStale)
	_, _, err = apply(other.certificate(c, nil), update)
	wantCode(t, "a forged one", err, license.CodeTimeForged)
	_, _, err = apply(l.certificate(l.containers[0], nil))
	wantCode(t, "another container's", err, license.CodeTimeForged)
	elsewhere, err := seal.SealUpdate(l.firm, l.cert, l.containers[0].Identity(), seal.UpdateHeader{Firm: firm, Serial: l.containers[0].Serial(), Number: 1, IssuedAt: time.Now()}, seal.Payload{})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = apply(elsewhere, l.certificate(l.containers[0], nil))
	wantCode(t, "another container's whole file", err, license.CodeUpdateForeign)
	if !empty() || !c.Moment().Certified.IsZero() {
		t.Error("a refused file had an effect")
	}
	steps, receipts, err := apply(update, stale)
	if err != nil || receipts != 1 || len(steps) != 2 || !strings.HasPrefix(steps[0], "WARNED warning: the time of 130-77") || empty() {
		t.Errorf("%q, %d receipts, %v", steps, receipts, err)
	}
	good := l.certificate(c, nil)
	for _, messages := range [][][]byte{{update, good}, {good}} {
		steps, receipts, err = apply(messages...)
		if err != nil || receipts != len(messages)-1 || !strings.HasPrefix(steps[0], "CERTIFIED time of 130-77 certified: 20") {
			t.Errorf("%q, %d receipts, %v", steps, receipts, err)
		}
	}
}
