package roles

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/cmd/quorate/internal/filetools"
	"github.com/quorate/quorate/internal/license"
)

// A link token goes to another machine over https alone, unless that is told
// otherwise.
func TestLinkTokensStayOffTheWire(t *testing.T) {
	file := filepath.Join(t.TempDir(), "link.token")
	if err := os.WriteFile(file, []byte("canary"), 0o600); err != nil {
		t.Fatal(err)
	}
	std := cli.Streams{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard}
	log := slog.New(slog.DiscardHandler)
	for _, c := range []struct {
		platform string
		insecure bool
		refused  bool
	}{
		{"http://192.0.2.1", false, true},
		{"http://licenses.example.com:8080", false, true},
		{"HTTP://licenses.example.com:8080", false, true},
		{"http://127.0.0.1.example.com", false, true},
		{"http://licenses.example.com", true, false},
		{"http://127.0.0.1:8080", false, false},
		{"http://localhost:8080", false, false},
		{"http://[::1]:8080", false, false},
		{"https://licenses.example.com", false, false},
	} {
		flags := linkFlags{Platform: c.platform, Link: file, Insecure: c.insecure}
		token, err := flags.token()
		if refused := license.CodeOf(err) == license.CodeInvalidInput; refused != c.refused || (!refused && (err != nil || token != "canary")) {
			t.Errorf("%+v: %q, %v", c, token, err)
		}
		if !c.refused {
			continue
		}
		server, tmr := Server{linkFlags: flags}, TMR{linkFlags: flags}
		for name, err := range map[string]error{
			"server": server.Run(t.Context(), std, log, filetools.Site{}, Build{}),
			"tmr":    tmr.Run(t.Context(), std, log, Build{}),
		} {
			if err == nil || !strings.Contains(err.Error(), "link token") || !strings.Contains(err.Error(), "--insecure") || strings.Contains(err.Error(), "canary") {
				t.Errorf("%s to %s: %v", name, c.platform, err)
			}
		}
	}
	if token, err := (linkFlags{}).token(); token != "" || err != nil {
		t.Errorf("without a link: %q, %v", token, err)
	}
	if _, err := (linkFlags{Platform: "https://licenses.example.com"}).token(); license.CodeOf(err) != license.CodeInvalidInput {
		t.Errorf("without a token: %v", err)
	}
}
