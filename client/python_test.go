package client_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/memlease"
	"github.com/quorate/quorate/internal/licenseserver"
	"github.com/quorate/quorate/internal/licenseserver/arbiter"
	"github.com/quorate/quorate/internal/licenseserver/servertest"
	"github.com/quorate/quorate/internal/rpc/proto"
	"github.com/quorate/quorate/internal/seal"
)

// realServer is a license server on a real port.
type realServer struct {
	url    string
	store  *memlease.Store
	source *servertest.Source
}

func startReal(t *testing.T, quantity uint32, life time.Duration) realServer {
	t.Helper()
	store, err := memlease.Open("", memlease.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := realServer{store: store, source: servertest.NewSource(quantity)}
	s, err := licenseserver.New(licenseserver.Config{
		Name: "a", Source: r.source, Store: store, Lease: life, Signer: seal.NewSigner([]byte(strings.Repeat("s", 32))),
		Arbiter: arbiter.Election{Elector: new(servertest.Elector), Group: servertest.Virtual(), Owner: "a"}, AdminToken: "secret",
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(s.Handler())
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = web.Serve(ln) }()
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = web.Close()
		s.Stop()
		_ = store.Close()
	})
	r.url = "http://" + ln.Addr().String()
	return r
}

func (r realServer) handles(t *testing.T) []lease.Handle {
	t.Helper()
	seats, err := r.store.Join(t.Context(), servertest.Virtual(), "test")
	if err != nil {
		t.Fatal(err)
	}
	list, err := seats.List(t.Context(), lease.Pool{Container: servertest.Virtual(), Product: servertest.Product()})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// python finds one that has protobuf.
func python(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(name, "-c", "import google.protobuf").Run() == nil {
			return name
		}
	}
	t.Fatal("Python with protobuf is missing: run make servers, or on Debian apt-get install python3-protobuf protobuf-compiler")
	return ""
}

// The protocol as it is published is enough for a program in another language:
// its messages are generated from it, and it takes, renews and releases a
// license of a real server by plain HTTP.
func TestProgramInPython(t *testing.T) {
	program := python(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "protocol", filepath.FromSlash(proto.LicenseFile))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, proto.License, 0o600); err != nil {
		t.Fatal(err)
	}
	generate := exec.Command("protoc", "--proto_path="+filepath.Join(dir, "protocol"), "--python_out="+dir, proto.LicenseFile)
	if out, err := generate.CombinedOutput(); err != nil {
		t.Fatalf("protoc: %v\n%s", err, out)
	}
	server := startReal(t, 1, time.Minute)

	run := func() (*exec.Cmd, io.WriteCloser, func() map[string]any) {
		t.Helper()
		cmd := exec.Command(program, filepath.Join("testdata", "python", "charts.py"), server.url, "6000010", "14")
		cmd.Env = append(os.Environ(), "PYTHONPATH="+dir, "PYTHONDONTWRITEBYTECODE=1", "USER=ada")
		cmd.Stderr = os.Stderr
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill() })
		lines := bufio.NewReader(out)
		return cmd, in, func() (said map[string]any) {
			t.Helper()
			line, err := lines.ReadString('\n')
			if err == nil {
				err = json.Unmarshal([]byte(line), &said)
			}
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			return said
		}
	}
	first, in, said := run()
	got := said()
	if got["seat"] != 1.0 || got["features"] != 11.0 {
		t.Fatalf("%v", got)
	}
	list := server.handles(t)
	if len(list) != 1 || list[0].Handle != got["handle"] || list[0].Client.User != "ada" || list[0].Client.Application != "charts.py" ||
		list[0].Client.Process != uint32(first.Process.Pid) {
		t.Fatalf("%+v", list)
	}
	for range 2 {
		if _, err := fmt.Fprintln(in); err != nil {
			t.Fatal(err)
		}
		if r := said(); r["renewed"] != got["handle"] || r["left"] != true {
			t.Errorf("%v", r)
		}
	}
	if renewed := server.handles(t)[0]; !renewed.LastAccess.After(list[0].LastAccess) {
		t.Errorf("renewed at %s, taken at %s", renewed.LastAccess, list[0].LastAccess)
	}

	// A second one is refused, and reads why.
	second, _, refused := run()
	r := refused()
	if details, _ := r["details"].(map[string]any); r["refused"] != "NO_FREE_SEAT" || details["taken"] != 1.0 || details["quantity"] != 1.0 {
		t.Errorf("%v", r)
	}
	if err := second.Wait(); err == nil {
		t.Error("who was refused ends well")
	}

	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if r := said(); r["released"] != got["handle"] {
		t.Errorf("%v", r)
	}
	if err := first.Wait(); err != nil {
		t.Error(err)
	}
	if list := server.handles(t); len(list) != 0 {
		t.Errorf("%+v", list)
	}
}
