package e2e

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// A container's life without any link: files there and back, and all that can
// go wrong with them.
func TestLifeOffline(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	one, two := l.box("one", "130-100", "Shipping Company", false), l.box("two", "130-200", "Shipping Company", false)
	item := l.item(charts, "Charts, offline", "--units", "5", "--features", "0x5", "--text", "for ships", "--minimum-version", "10.4")

	one.buy(item, 2)
	first := one.request("one")
	update, id := one.offline(first, "one")
	one.wantState("AWAITING_RECEIPT")
	hostileFiles(t, one, two, update)
	receipt, _ := one.apply(update)
	inspectFiles(t, one, first, update, receipt)
	one.finish(id, receipt)
	one.finish(id, receipt) // again, which changes nothing
	if k := one.wantState("UP_TO_DATE"); k.quantity(charts) != 2 || k.UpdateCounter != 1 {
		t.Errorf("after the first update: %+v", k)
	}
	if _, told := one.apply(update); !strings.Contains(told, "installed in 130-100 already") {
		t.Errorf("applied again: %s", told)
	}
	if says := one.refused("REQUEST_STALE", "offline", "start", one.serial, first); !strings.Contains(says, "new request") {
		t.Errorf("a stale request: %s", says)
	}
	one.wantState("UP_TO_DATE") // an old file is no crime

	one.start()
	w := one.why(charts, "--program-version", "10.4", "--features", "4")
	if !w.Usable || *w.UnitsLeft != 10 || w.Options.Text != "for ships" || w.Options.MinimumVersion != "10.4" {
		t.Errorf("why shows %+v", w)
	}
	must(t, "run", "--server", one.url(), "--product", charts, "--program-version", "10.4", "--units", "7", "--", "true")
	if says := refused(t, "CONTAINER_IN_USE", "request", "--container", one.file()); !strings.Contains(says, "server") {
		t.Errorf("a request while the server runs: %s", says)
	}
	one.stop()

	lostFiles(t, one, item)
	twoFirms(t, one)
	transfersOffline(t, one, two)
}

// hostileFiles are refused, and change nothing.
func hostileFiles(t *testing.T, one, two *box, update string) {
	text, err := os.ReadFile(update)
	if err != nil {
		t.Fatal(err)
	}
	before := one.read("one.qrc")
	apply := func(code, file string, at *box) {
		t.Helper()
		receipt := one.path("none.lrcp")
		refused(t, code, "apply", file, "--container", at.file(), "--receipt", receipt)
		if _, err := os.Stat(receipt); err == nil {
			t.Errorf("%s: a receipt of what was refused", code)
		}
	}
	apply("UPDATE_FOREIGN", update, two)
	lines := bytes.Split(bytes.Clone(text), []byte("\n"))
	for i, l := range lines {
		if len(l) > 60 && !bytes.Contains(l, []byte(" ")) { // the first of the message
			lines[i] = append([]byte(strings.Repeat("A", 8)), l[8:]...)
			break
		}
	}
	altered := one.write("altered.lupd", bytes.Join(lines, []byte("\n")))
	apply("UPDATE_TAMPERED", altered, one)
	refused(t, "UPDATE_TAMPERED", "inspect", altered)
	apply("UPDATE_TAMPERED", one.write("cut.lupd", text[:len(text)/2]), one)
	apply("FORMAT_UNKNOWN", one.write("no.lupd", []byte("hello")), one)
	apply("INVALID_INPUT", one.request("mistaken"), one)
	one.refused("UPDATE_FOREIGN", "offline", "start", one.serial, two.request("foreign"))
	one.refused("INVALID_INPUT", "offline", "start", one.serial, update)
	if one.wantHeld(map[string]int{}); len(before) != len(one.read("one.qrc")) {
		t.Error("a refused file changed the container's size")
	}
}

// inspectFiles tells what each file is, and whether it holds.
func inspectFiles(t *testing.T, b *box, request, update, receipt string) {
	type inspected struct {
		Kind  string
		Parts []struct {
			Container, Signature, Note, Time string
			Firms                            []struct{ Firm, Number int }
		}
	}
	for file, want := range map[string]struct {
		kind, signature string
		firms           int
	}{request: {"request", "self-consistent", 0}, update: {"update", "valid", 1}, receipt: {"receipt", "valid", 1}} {
		var got inspected
		b.json(&got, "inspect", file, "--root", b.root, "--request", request, "--json")
		if p := got.Parts[0]; got.Kind != want.kind || p.Container != b.serial || p.Signature != want.signature || len(p.Firms) != want.firms {
			t.Errorf("%s: %+v", file, got)
		}
		if want.kind == "update" && (len(got.Parts) != 2 || got.Parts[1].Time == "" || got.Parts[1].Signature != "valid") {
			t.Errorf("the update brings no certified time: %+v", got)
		}
		if says := must(t, "inspect", file); !strings.Contains(says, b.serial) {
			t.Errorf("in words: %s", says)
		}
	}
}

// lostFiles are an update and a receipt that don't arrive.
func lostFiles(t *testing.T, b *box, item string) {
	b.do("item", "update", item, "--features", "0x7", "--remove", "text", "--units", "8")
	lost, id := b.offline(b.request("lost"), "lost")
	b.buy(item, 1) // meanwhile
	again, same := b.offline(b.request("again"), "again")
	if same != id {
		t.Errorf("a newer request began another rollout")
	}
	if err := os.Remove(lost); err != nil {
		t.Fatal(err)
	}
	receipt, _ := b.apply(again)
	if err := os.Remove(receipt); err != nil {
		t.Fatal(err)
	}
	// The next request is as good as the receipt, and what was ordered comes.
	update, next := b.offline(b.request("next"), "next")
	if next == id {
		t.Errorf("the request did not show the update installed")
	}
	b.apply(update)
	written := b.path("written.lrcp")
	must(t, "receipt", "--container", b.file(), "-o", written)
	b.finish(next, written)
	if k := b.wantState("UP_TO_DATE"); k.quantity(charts) != 3 || k.UpdateCounter != 3 {
		t.Errorf("with what was lost: %+v", k)
	}
	b.wantHeld(map[string]int{charts: 3})
	refused(t, "UPDATE_REPLAYED", "apply", again, "--container", b.file())
	b.start()
	if s := b.ls(charts); s.FeatureMap != 7 || s.Options.Text != "" || *s.UnitsLeft != 3*8-7 || s.Total != 3 {
		t.Errorf("the server lists %+v", s)
	}
	b.stop()
	b.refused("ROLLOUT_UP_TO_DATE", "offline", "start", b.serial, b.request("nothing"))
}

// twoFirms are in one container: each has updates of its own.
func twoFirms(t *testing.T, b *box) {
	b.buy(b.item(remote, "Radio"), 4)
	b.byFiles("radio")
	b.wantHeld(map[string]int{charts: 3, remote: 4})
	// Both firms' last updates are in one receipt file, and in one request.
	all := b.path("all.lrcp")
	must(t, "receipt", "--container", b.file(), "-o", all)
	if says := must(t, "inspect", all, "--request", b.request("both")); !strings.Contains(says, "6000010") || !strings.Contains(says, "6000011") {
		t.Errorf("the receipts: %s", says)
	}
	b.wantState("UP_TO_DATE")
}

func transfersOffline(t *testing.T, one, two *box) {
	item := one.item(views, "Views")
	one.buy(item, 5)
	one.byFiles("views")

	one.do("container", "return", one.serial, views, "2")
	update, id := one.offline(one.request("return"), "return")
	receipt, _ := one.apply(update)
	one.wantHeld(map[string]int{charts: 3, remote: 4, views: 3})
	if n := one.credits(views); n != 0 {
		t.Errorf("%d credits before the receipt", n)
	}
	one.finish(id, receipt)
	if n := one.credits(views); n != 2 {
		t.Errorf("%d credits, 2 were returned", n)
	}
	two.buy(item, 2, "--credit")
	two.byFiles("credit")

	// The receipt of a move gets lost; the next request shows it.
	one.do("container", "move", one.serial, views, "1", "--to", two.serial)
	update, _ = one.offline(one.request("move"), "move")
	one.apply(update)
	two.wantState("UP_TO_DATE")
	var done struct{ State string }
	one.json(&done, one.at("offline", "start", one.serial, one.request("moved"), "-o", one.path("none.lupd"), "--json")...)
	if done.State != "DONE" {
		t.Errorf("the request shows the update, and the rollout is %s", done.State)
	}
	two.wantState("UPDATE_DUE")
	two.byFiles("moved")
	two.wantHeld(map[string]int{views: 3})

	one.do("container", "revoke", one.serial, views, "2", "--reason", "not paid")
	one.byFiles("revoke")
	one.wantHeld(map[string]int{charts: 3, remote: 4})
	if n := one.credits(views); n != 0 {
		t.Errorf("%d credits of revoked licenses", n)
	}
	one.wantState("UP_TO_DATE")
	two.wantState("UP_TO_DATE")
	one.start()
	refused(t, "NO_LICENSE", "run", "--server", one.url(), "--product", views, "--", "true")
	one.stop()
}
