package linkapi_test

import (
	"context"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/rulesets"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

func (f *fake) LinkRules(ctx context.Context) (uint64, string, error) {
	f.called(ctx)
	return 7, strings.Repeat("# a long comment\n", 15_000), f.err
}

func TestRules(t *testing.T) {
	f := &fake{}
	api := client(t, f, "Bearer good")
	res, err := api.Rules(t.Context(), connect.NewRequest(&quoratev1.RulesRequest{Server: "a"}))
	if err != nil || res.Msg.GetVersion() != 7 || len(res.Msg.GetText()) != 17*15_000 || f.who.Group != "tmr_1" {
		t.Errorf("%v, %v, %+v", res, err, f.who)
	}
	for name, c := range map[string]struct {
		authorization, server string
		code                  license.Code
	}{
		"no token":     {"", "a", license.CodeUnauthenticated},
		"bad token":    {"Bearer bad", "a", license.CodeUnauthenticated},
		"other server": {"Bearer good", "b", license.CodeForbidden},
	} {
		if _, err := client(t, f, c.authorization).Rules(t.Context(), connect.NewRequest(&quoratev1.RulesRequest{Server: c.server})); license.CodeOf(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	if f.calls != 1 {
		t.Errorf("%d calls", f.calls)
	}
}

func TestPushTellsOfRules(t *testing.T) {
	f := &fake{}
	api := client(t, f, "Bearer good")
	res, err := api.Push(t.Context(), connect.NewRequest(&quoratev1.PushRequest{
		Server: "a", Rules: &quoratev1.RulesStatus{Digest: "d", OwnFile: true, Problem: "p"},
	}))
	if err != nil || res.Msg.GetRulesDigest() != "digest" || f.push.Rules == nil || *f.push.Rules != (rulesets.RulesStatus{Digest: "d", Own: true, Problem: "p"}) {
		t.Errorf("%v, %v, %+v", res, err, f.push.Rules)
	}
	if _, err := api.Push(t.Context(), connect.NewRequest(&quoratev1.PushRequest{Server: "a"})); err != nil || f.push.Rules != nil {
		t.Errorf("%v, %+v", err, f.push.Rules)
	}
}
