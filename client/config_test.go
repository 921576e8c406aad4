package client

import (
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
)

func TestAddressesAreChecked(t *testing.T) {
	pin := "?pin=sha256:" + strings.Repeat("A", 43)
	for _, good := range []string{
		"http://a", "http://127.0.0.1:7443", "http://[::1]:7443", "https://a:7443", "https://a/licenses/",
		"https://a:7443" + pin, "https://a:7443" + pin + "&" + pin[1:],
		"srv://a", "srv://a.example/x" + pin, "srv+http://a.example.",
	} {
		if _, err := Open(t.Context(), Config{Servers: []string{good}}); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "a", "a:7443", "ftp://a", "https://", "https://:7443", "https://u:p@a", "https://a#x", "https://a?x=y",
		"https://a?pin=md5:1", "https://a?pin=", "http://a" + pin, "https://a?%zz", "::",
		"srv://", "srv://a:7443", "srv://[::1]", "srv+http://a" + pin, "srv://a?x=y", "srv+https://a", "srv:a", "srv://u@a",
	} {
		_, err := Open(t.Context(), Config{Servers: []string{"http://good", bad}})
		if CodeOf(err) != CodeInvalidInput {
			t.Errorf("%q: %v", bad, err)
		}
	}
	t.Setenv("QUORATE_SERVER", "")
	if _, err := Open(t.Context(), Config{}); CodeOf(err) != CodeInvalidInput {
		t.Errorf("no server: %v", err)
	}
}

func TestTextsAreMadeFitToBeSent(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", "a\x00b\n": "ab", "bad\xff": "bad", "": "next",
	} {
		if got := firstOf(in, "next"); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
	long := firstOf(strings.Repeat("ü", 200))
	if len(long) > mostText || !utf8.ValidString(long) {
		t.Errorf("a long text became %d bytes", len(long))
	}
	c := Config{}.withDefaults()
	if c.Application == "" || c.Station == "" || c.Address == "" {
		t.Errorf("defaults %+v", c)
	}
}

// The server's key is known by its pin, over real TLS.
func TestPinnedServer(t *testing.T) {
	key, err := rpc.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(quoratev1connect.NewLicenseServiceHandler(&scripted{}))
	server := rpc.NewServer(mux, slog.New(slog.DiscardHandler))
	server.TLSConfig = rpc.ServerTLS(key, nil)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.ServeTLS(ln, "", "") }()
	t.Cleanup(func() { _ = server.Close() })
	other, err := rpc.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	for pins, want := range map[string]Code{
		"?pin=" + key.Pin():                         "",
		"?pin=" + other.Pin() + "&pin=" + key.Pin(): "",
		"?pin=" + other.Pin():                       CodeUnavailable,
		"":                                          CodeUnavailable, // no authority vouches for it
	} {
		patience := 10 * time.Second
		if want != "" {
			patience = 300 * time.Millisecond
		}
		c, err := Open(t.Context(), Config{Servers: []string{"https://" + ln.Addr().String() + pins}, Wait: patience})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Access(t.Context(), "6000010:14")
		if CodeOf(err) != want {
			t.Errorf("%s: %v, want %q", pins, err, want)
		}
		_ = c.Close()
	}
}

// Codes mean the same here as in the rest of the product.
func TestCodesAreTheProducts(t *testing.T) {
	for ours, theirs := range map[Code]license.Code{
		CodeInternal: license.CodeInternal, CodeInvalidInput: license.CodeInvalidInput,
		CodeUnauthenticated: license.CodeUnauthenticated, CodeForbidden: license.CodeForbidden,
		CodeUnavailable: license.CodeUnavailable, CodeNoLicense: license.CodeNoLicense,
		CodeNoMajority: license.CodeNoMajority, CodeNoFreeSeat: license.CodeNoFreeSeat,
		CodeLicenseExpired: license.CodeExpired, CodeFeatureMissing: license.CodeFeatureMissing,
		CodeTMROnly: license.CodeTMROnly, CodeNotLeader: license.CodeNotLeader,
		CodeHandleUnknown: license.CodeHandleUnknown, CodeHandleExpired: license.CodeHandleExpired,
		CodeHandleRemoved: license.CodeHandleRemoved, CodeRequestMismatch: license.CodeRequestMismatch,
		CodeTokenInvalid: license.CodeTokenInvalid, CodeKeyRefused: license.CodeKeyRefused,
		CodeFormatUnknown: license.CodeFormatUnknown, CodeDataDamaged: license.CodeDataDamaged,
		CodeTooLarge: license.CodeTooLarge, CodeQueued: license.CodeQueued, CodeLimitReached: license.CodeLimitReached,
		CodeStationBusy: license.CodeStationBusy, CodeNotAllowed: license.CodeNotAllowed, CodeTooYoung: license.CodeTooYoung,
		CodeBorrowed: license.CodeBorrowed, CodeThrottled: license.CodeThrottled,
	} {
		if string(ours) != string(theirs) {
			t.Errorf("%s here is %s elsewhere", ours, theirs)
		}
	}
	for ours, theirs := range map[Mode]license.AccessMode{
		UserLimit: license.UserLimit, StationShare: license.StationShare,
		Exclusive: license.Exclusive, NoUserLimit: license.NoUserLimit,
	} {
		if string(ours) != string(theirs) {
			t.Errorf("%s here is %s elsewhere", ours, theirs)
		}
	}
}

// A program outside this module could not name an internal type, so none may
// stand in what the package exports.
func TestExportsNoInternalType(t *testing.T) {
	names, err := filepath.Glob("*.go")
	if err != nil || len(names) == 0 {
		t.Fatalf("no files: %v", err)
	}
	allowed := map[string]bool{"context": true, "time": true, "slog": true, "net": true, "io": true}
	check := func(name string, n ast.Node) {
		ast.Inspect(n, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && !allowed[x.Name] {
					t.Errorf("%s exports %s.%s", name, x.Name, s.Sel.Name)
				}
			}
			return true
		})
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() {
					check(d.Name.Name, d.Type)
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					spec, ok := s.(*ast.TypeSpec)
					if !ok || !spec.Name.IsExported() {
						continue
					}
					if st, ok := spec.Type.(*ast.StructType); ok {
						for _, field := range st.Fields.List {
							for _, name := range field.Names {
								if name.IsExported() {
									check(spec.Name.Name+"."+name.Name, field.Type)
								}
							}
						}
						continue
					}
					check(spec.Name.Name, spec.Type)
				}
			}
		}
	}
}
