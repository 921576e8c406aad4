package isolation_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/internal/auth"
)

// recorder is a test that fails for itself alone.
type recorder struct {
	testing.TB
	said []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.said = append(r.said, fmt.Sprintf(format, args...))
}

// body reads a request's, and leaves it there.
func body(r *http.Request) string {
	text, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(text))
	return string(text)
}

// TestTheWalkFindsMutants: a platform that keeps tenants apart badly, in one
// place, is found by the walk of that place, and found by what it does.
func TestTheWalkFindsMutants(t *testing.T) {
	w := newWalk(t, setting{})
	victim := auth.Principal{Kind: auth.KindToken, ID: w.victim.rows["api_tokens"][0].id(), Organization: w.victim.vendor, Role: auth.Owner, Name: "mutant"}
	// asVictim takes whoever asks for a field for the victim.
	asVictim := func(field string) func(http.ResponseWriter, *http.Request, http.Handler) {
		return func(out http.ResponseWriter, r *http.Request, api http.Handler) {
			if r.Header.Get("Upgrade") == "" && strings.Contains(body(r), "{ "+field) {
				r = r.WithContext(auth.With(r.Context(), victim))
			}
			api.ServeHTTP(out, r)
		}
	}
	unguarded := false
	w.store.Client().TmrGroup.Intercept(ent.InterceptFunc(func(next ent.Querier) ent.Querier {
		return ent.QuerierFunc(func(ctx context.Context, q ent.Query) (ent.Value, error) {
			found, err := next.Query(ctx, q)
			if p, who := auth.From(ctx); unguarded && who == nil && !p.IsSystem() && err == nil {
				if _, ok := found.([]*ent.TmrGroup); ok {
					return w.store.Client().TmrGroup.Query().All(system(ctx))
				}
			}
			return found, err
		})
	}))
	run := func(field string, thorough bool) []string {
		r := &recorder{TB: t}
		a := w.asker(r, "somebody", w.others.vendor, "", auth.Owner, w.others)
		a.only = field
		a.roots(thorough)
		if a.asked == 0 {
			t.Errorf("%s was not asked for", field)
		}
		return r.said
	}
	for _, m := range []struct {
		name, field, want string
		begin, end        func()
	}{
		{
			"a query without the guard", "webhooks", "sees webhook_endpoints.",
			func() { w.spoil = asVictim("webhooks") }, nil,
		},
		{
			"one type without the guard", "tmrGroups", "sees tmr_groups.",
			func() { unguarded = true }, func() { unguarded = false },
		},
		{
			"a node without the guard", "node", "tells an existing one from a made-up one",
			func() { w.spoil = asVictim("node(") }, nil,
		},
		{
			"a query that tells what exists", "container", "tells an existing one from a made-up one",
			func() {
				w.spoil = func(out http.ResponseWriter, r *http.Request, api http.Handler) {
					if strings.Contains(body(r), fmt.Sprint(w.victim.rows["containers"][0]["serial"])) {
						_, _ = io.WriteString(out, `{"data":null,"errors":[{"message":"it is another's","extensions":{"code":"FORBIDDEN"}}]}`)
						return
					}
					api.ServeHTTP(out, r)
				}
			}, nil,
		},
		{
			"a query that fails inside", "containers", "INTERNAL",
			func() {
				w.spoil = func(out http.ResponseWriter, _ *http.Request, _ http.Handler) {
					_, _ = io.WriteString(out, `{"data":null,"errors":[{"message":"internal error","extensions":{"code":"INTERNAL"}}]}`)
				}
			}, nil,
		},
		{
			"a sum that others are counted in", "containers", "sees the figure",
			func() {
				w.spoil = func(out http.ResponseWriter, _ *http.Request, _ http.Handler) {
					_, _ = fmt.Fprintf(out, `{"data":{"containers":{"totalCount":%v}}}`, w.victim.rows["orders"][0]["quantity"])
				}
			}, nil,
		},
		{
			"a mutation without the guard", "revokeEnrollment", "UPDATE of another tenant's enrollments",
			func() { w.spoil = asVictim("revokeEnrollment(") }, nil,
		},
		{
			"a mutation that is refused, and has happened", "pauseRollout", "UPDATE of another tenant's rollouts",
			func() {
				w.spoil = func(out http.ResponseWriter, r *http.Request, api http.Handler) {
					id := w.victim.rows["rollouts"][0].id()
					if strings.Contains(body(r), id) {
						if err := w.store.Client().Rollout.UpdateOneID(id).SetPausedBy("mutant").Exec(system(r.Context())); err != nil {
							t.Error(err)
						}
					}
					api.ServeHTTP(out, r)
				}
			}, nil,
		},
		{
			"a subscription by events without the guard", "rolloutsChanged", "sees rollouts.",
			func() { w.spoil = asVictim("rolloutsChanged") }, nil,
		},
		{
			"a WebSocket without the guard", "auditChanged", "over WebSocket",
			func() { w.impostor = &victim }, func() { w.impostor = nil },
		},
	} {
		t.Run(m.name, func(t *testing.T) {
			if said := run(m.field, m.field == "container"); len(said) != 0 {
				t.Fatalf("without the mutant: %q", said)
			}
			m.begin()
			said := strings.Join(run(m.field, m.field == "container"), "\n")
			w.spoil = nil
			if m.end != nil {
				m.end()
			}
			w.observed()
			w.causes()
			if !strings.Contains(said, m.want) {
				t.Errorf("no %q is found: %.2000s", m.want, said)
			}
		})
	}
}
