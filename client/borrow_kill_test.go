//go:build unix

package client_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/memlease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/licenseserver"
	"github.com/quorate/quorate/internal/licenseserver/servertest"
	"github.com/quorate/quorate/internal/seal"
)

const borrowerEnv = "QUORATE_TEST_BORROWER"

// lender is a license server that lends two licenses, and that kills the program
// whose license it has granted instead of answering it.
type lender struct {
	url   string
	store *memlease.Store
	kills chan *os.Process // whom it kills next
}

// alone is a source of a container outside of groups.
type alone struct{ *servertest.Source }

func (alone) Serial() license.Serial { return license.Serial{Mask: 130, Number: 1874829} }

func startLender(t *testing.T) *lender {
	t.Helper()
	store, err := memlease.Open("", memlease.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := licenseserver.New(licenseserver.Config{
		Name: "b", Source: alone{servertest.NewSource(2)}, Store: store, Lease: time.Minute,
		Signer: seal.NewSigner([]byte(strings.Repeat("s", 32))), Arbiter: licenseserver.Always{}, BorrowMost: 240 * time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	l := &lender{store: store, kills: make(chan *os.Process, 1)}
	path, handler := s.Handler()
	mux := http.NewServeMux()
	mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		select {
		case p := <-l.kills:
			handler.ServeHTTP(httptest.NewRecorder(), r)
			_ = p.Kill()
			<-r.Context().Done()
			panic(http.ErrAbortHandler)
		default:
			handler.ServeHTTP(w, r)
		}
	})
	web := httptest.NewServer(mux)
	if err := s.Start(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		web.Close()
		s.Stop()
		_ = store.Close()
	})
	l.url = web.URL
	return l
}

func (l *lender) handles(t *testing.T) []lease.Handle {
	t.Helper()
	seats, err := l.store.Join(t.Context(), alone{}.Serial(), "test")
	if err != nil {
		t.Fatal(err)
	}
	list, err := seats.List(t.Context(), lease.Pool{Container: alone{}.Serial(), Product: servertest.Product()})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func (l *lender) open(t *testing.T) *client.Client {
	t.Helper()
	c, err := client.Open(t.Context(), client.Config{Servers: []string{l.url}, Station: "desk"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// borrowAndDie runs a program that is killed between the grant of its borrowed
// license and the answer.
func (l *lender) borrowAndDie(t *testing.T) string {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestProgramKilledWhileItBorrows$")
	cmd.Env = append(os.Environ(), borrowerEnv+"="+l.url)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe() // it waits for its end, so that who is to be killed is known
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	l.kills <- cmd.Process
	_ = in.Close()
	_ = cmd.Wait()
	if s, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || s.Signal() != syscall.SIGKILL {
		t.Fatalf("the program ended otherwise: %v", cmd.ProcessState)
	}
	all := l.handles(t)
	if len(all) != 1 || !all[0].Borrowed {
		t.Fatalf("granted: %+v", all)
	}
	return all[0].Handle
}

// A program that is killed between the grant of a license that it borrows and the
// answer strands none: the next one that borrows the same has it, and who borrows
// something else gives it back.
func TestProgramKilledWhileItBorrows(t *testing.T) {
	if server := os.Getenv(borrowerEnv); server != "" {
		_, _ = os.Stdin.Read(make([]byte, 1))
		c, err := client.Open(t.Context(), client.Config{Servers: []string{server}, Station: "desk"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Access(t.Context(), product, client.WithBorrow(8*time.Hour))
		t.Fatal("not killed", err)
	}
	t.Setenv("QUORATE_BORROWED", t.TempDir())
	l := startLender(t)
	killed := l.borrowAndDie(t)
	h, err := l.open(t).Access(t.Context(), product, client.WithBorrow(time.Hour))
	if err != nil || h.Info().ID != killed || len(l.handles(t)) != 1 {
		t.Fatalf("%v, %+v, %+v; want %s", err, h, l.handles(t), killed)
	}
	if i := h.Info(); !i.Borrowed || i.Remaining < 7*time.Hour {
		t.Errorf("%+v", i)
	}
	if err := h.Release(t.Context()); err != nil || len(l.handles(t)) != 0 {
		t.Fatalf("%v, %+v", err, l.handles(t))
	}

	killed = l.borrowAndDie(t)
	h, err = l.open(t).Access(t.Context(), product, client.WithBorrow(time.Hour), client.WithLicenses(2)) // all of them
	if err != nil || h.Info().ID == killed {
		t.Fatalf("%v, %+v", err, h)
	}
	if all := l.handles(t); len(all) != 1 || all[0].Handle != h.Info().ID {
		t.Fatalf("%+v", all)
	}
	if err := h.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(os.Getenv("QUORATE_BORROWED")); err != nil || len(left) != 0 {
		t.Errorf("%v, %v", left, err)
	}
}
