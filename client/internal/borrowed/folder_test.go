package borrowed

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

func newFolder(t *testing.T) Folder {
	t.Helper()
	return Folder{t.TempDir(), Lock, time.Now, slog.New(slog.DiscardHandler)}
}

func (d Folder) ask(t *testing.T) *Request {
	t.Helper()
	r, err := d.Ask(&quoratev1.AccessRequest{RequestId: uuid.NewString(), BorrowMs: time.Hour.Milliseconds()}, "match", "servers")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (d Folder) keep(t *testing.T, id string) *File {
	t.Helper()
	k, err := d.Keep(id, "match", "6000010:14", &quoratev1.Handle{Id: id, LeaseMs: time.Hour.Milliseconds()}, time.Now(), false)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (d Folder) want(t *testing.T, what string, names ...string) {
	t.Helper()
	all, err := os.ReadDir(d.Dir)
	if err != nil || len(all) != len(names) {
		t.Fatalf("%s: %v, %v; want %v", what, all, err, names)
	}
	for _, name := range names {
		if _, err := os.Stat(filepath.Join(d.Dir, name)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Who was killed after he had written the handle down, or whose handle another one
// has since, leaves a request that nobody repeats.
func TestRequestThatIsSettled(t *testing.T) {
	d := newFolder(t)
	r := d.ask(t)
	id := r.Message.GetRequestId()
	k := d.keep(t, id)
	r.Leave()
	if lost := d.Lost("servers"); len(lost) != 0 {
		t.Errorf("%v", lost)
	}
	d.want(t, "kept", id+keptEnd)

	// The half of another program's writing displaces no file that is in use.
	again, err := d.Ask(r.Message, "match", "servers")
	if err != nil {
		t.Fatal(err)
	}
	again.Leave()
	b, err := os.ReadFile(filepath.Join(d.Dir, id+keptEnd))
	if err != nil {
		t.Fatal(err)
	}
	late, long := filepath.Join(d.Dir, newStart+"late"), time.Now().Add(-time.Hour)
	if err := os.WriteFile(late, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(late, long, long); err != nil {
		t.Fatal(err)
	}
	if all := d.Files(); len(all) != 1 || !k.There() {
		t.Errorf("%v", all)
	}
	d.want(t, "in use", id+keptEnd)
}

// What can't be read is nobody's request, and stays; so does that of a later
// version.
func TestRequestThatCannotBeRead(t *testing.T) {
	d := newFolder(t)
	for name, text := range map[string]string{
		"a": "{", "b": `{"version":2}`, "c": `{"version":1,"request":"////"}`, "d": `{"version":1,"asked":"2026-11-22T00:00:00Z"}`,
	} {
		if err := os.WriteFile(filepath.Join(d.Dir, name+askedEnd), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(d.Dir, "e"+askedEnd), 0o700); err != nil {
		t.Fatal(err)
	}
	r := d.ask(t)
	r.Leave()
	lost := d.Lost("servers")
	if len(lost) != 1 || lost[0].Message.GetRequestId() != r.Message.GetRequestId() || lost[0].Match != "match" {
		t.Fatalf("%v", lost)
	}
	if other := d.Lost("servers"); len(other) != 0 { // it is locked
		t.Errorf("%v", other)
	}
	lost[0].Settle()
	if left := d.Lost("servers"); len(left) != 0 {
		t.Errorf("%v", left)
	}
	var none *Request
	none.Settle()
	none.Leave()
}

func TestNothingIsWrittenWithoutLocks(t *testing.T) {
	d := newFolder(t)
	d.Lock = func(*os.File, bool) bool { return false }
	if r := d.ask(t); r != nil {
		t.Error("a request")
	}
	if k := d.keep(t, uuid.NewString()); k != nil {
		t.Error("a license")
	}
	d.want(t, "nothing")
}
