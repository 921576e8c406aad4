package resolvers_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/store"
)

// An answer is never taken for HTML, whatever is in it, and loses nothing.
func TestAnswersHoldNoMarkup(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"plain", `<script>&"'\`, "a<b", "a>b", "a&b", "a\u2028b", "a\u2029b", "ü€😀\t\n\x01"} {
		w.change("", "", func(tx *store.Tx) error { return tx.Firm.UpdateOneID("frm_1").SetName(name).Exec(w.system()) })
		body := ask(w.serve("owner"), request{Query: `{ firms(first: 1) { edges { node { name } } } }`}).Body.String()
		var got struct {
			Data struct {
				Firms struct {
					Edges []struct{ Node struct{ Name string } }
				}
			}
		}
		if err := json.Unmarshal([]byte(body), &got); err != nil || len(got.Data.Firms.Edges) != 1 || got.Data.Firms.Edges[0].Node.Name != name {
			t.Errorf("%q: %s, %v", name, body, err)
		}
		if strings.ContainsAny(body, "<>&\u2028\u2029") {
			t.Errorf("%q is told as %s", name, body)
		}
	}
}
