package tickettools

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
)

// A ticket is shown with all that became of it, however many pages that is.
func TestShowHasAllActivations(t *testing.T) {
	at := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Variables struct{ After string } }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		page, next := 1, body.Variables.After == ""
		if !next {
			page = 2
		}
		fmt.Fprintf(w, `{"data": {"ticket": {"id": "tkt_1", "customer": {"name": "A\u001b[2J"}, "activations": {"edges": [{"node": {"id": "tac_%d"}}], "pageInfo": {"hasNextPage": %t, "endCursor": "c"}}}}}`, page, next)
	}))
	defer at.Close()
	show := func(asJSON bool) string {
		var out strings.Builder
		c := Show{APIFlags: cli.APIFlags{URL: at.URL, Token: "qrt_x", JSON: asJSON}, Code: "x"}
		if err := c.Run(t.Context(), cli.Streams{Out: &out}); err != nil {
			t.Error(err)
		}
		return out.String()
	}
	for _, asJSON := range []bool{false, true} {
		if out := show(asJSON); !strings.Contains(out, "tac_1") || !strings.Contains(out, "tac_2") || strings.Contains(out, "pageInfo") || strings.Contains(out, "\x1b") {
			t.Errorf("shown: %s", out)
		}
	}
}
