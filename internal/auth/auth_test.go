package auth_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
)

func cheap(parallel int) *auth.Hasher {
	return auth.NewHasher(auth.Cost{Time: 1, Memory: 64, Threads: 1}, parallel)
}

func TestPasswords(t *testing.T) {
	h := cheap(2)
	const right = "correct horse battery"
	stored, err := h.Hash(t.Context(), right)
	if err != nil {
		t.Fatal(err)
	}
	other, err := h.Hash(t.Context(), right)
	if err != nil || other == stored {
		t.Errorf("two hashes of one password are the same: %v", err)
	}
	if !strings.HasPrefix(stored, "$argon2id$v=19$m=64,t=1,p=1$") || strings.Contains(stored, right) {
		t.Errorf("stored as %s", stored)
	}
	// The cost is that of the hash, not that of the hasher.
	strict := auth.NewHasher(auth.Cost{Time: 2, Memory: 128, Threads: 1}, 1)
	for what, c := range map[string]struct {
		stored, password string
		want             bool
	}{
		"right":           {stored, right, true},
		"wrong":           {stored, right + "!", false},
		"empty":           {stored, "", false},
		"unknown account": {"", right, false},
		"unknown, empty":  {"", "", false},
		"endless":         {stored, strings.Repeat("x", 1<<20), false},
	} {
		for _, h := range []*auth.Hasher{h, strict} {
			if got, err := h.Verify(t.Context(), c.stored, c.password); err != nil || got != c.want {
				t.Errorf("%s: %v, %v", what, got, err)
			}
		}
	}
	for _, broken := range []string{"x", "$argon2id$v=19$m=64,t=1,p=1$AA$AA", "$argon2id$v=18" + stored[len("$argon2id$v=19"):],
		strings.Replace(stored, "m=64", "m=99999999", 1), strings.Replace(stored, "t=1", "t=0", 1), strings.Replace(stored, "$argon2id", "$argon2i", 1)} {
		if ok, err := h.Verify(t.Context(), broken, right); ok || err == nil {
			t.Errorf("%q: %v, %v", broken, ok, err)
		}
	}
	for _, bad := range []string{"", "short", strings.Repeat("x", auth.MostPassword+1)} {
		if _, err := h.Hash(t.Context(), bad); license.CodeOf(err) != license.CodeInvalidInput {
			t.Errorf("a password of %d bytes: %v", len(bad), err)
		}
	}
}

// TestHashingIsBounded: whoever waits for his turn can leave.
func TestHashingIsBounded(t *testing.T) {
	slow := auth.NewHasher(auth.Cost{Time: 4, Memory: 32 << 10, Threads: 1}, 1)
	var all sync.WaitGroup
	started := make(chan struct{})
	all.Go(func() {
		close(started)
		for range 3 {
			_, _ = slow.Verify(t.Context(), "", "x")
		}
	})
	<-started
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	left := false
	for deadline := time.Now().Add(10 * time.Second); !left && time.Now().Before(deadline); {
		_, err := slow.Hash(ctx, "correct horse battery")
		left = errors.Is(err, context.Canceled)
	}
	if !left {
		t.Error("a cancelled caller was never turned away")
	}
	all.Wait()
}

func TestTokens(t *testing.T) {
	for _, kind := range []auth.TokenKind{auth.APIToken, auth.LinkToken, auth.InviteToken, auth.ResetToken} {
		token, hash, err := auth.NewToken(kind)
		if err != nil {
			t.Fatal(err)
		}
		other, _, err := auth.NewToken(kind)
		if err != nil || other == token || !strings.HasPrefix(token, string(kind)) || strings.Contains(string(hash), token) {
			t.Errorf("%s, %v", kind, err)
		}
		if got, ok := auth.TokenHash(kind, token); !ok || !auth.SameHash(got, hash) {
			t.Errorf("%s: the digest is another one", kind)
		}
		if got, ok := auth.TokenHash(kind, other); !ok || auth.SameHash(got, hash) {
			t.Errorf("%s: two tokens have one digest", kind)
		}
		for _, bad := range []string{"", string(kind), token + "x", token[:len(token)-1], "qrx_" + token[4:]} {
			if _, ok := auth.TokenHash(kind, bad); ok {
				t.Errorf("%s: %q passes for a token", kind, bad)
			}
		}
	}
	if auth.SameHash(nil, nil) || auth.SameHash([]byte{}, []byte{}) {
		t.Error("no digest is like another")
	}
}

func TestPrincipals(t *testing.T) {
	for what, ctx := range map[string]context.Context{
		"nobody":          t.Context(),
		"empty":           auth.With(t.Context(), auth.Principal{}),
		"no organization": auth.With(t.Context(), auth.Principal{Kind: auth.KindMember, ID: "mem_1"}),
		"no id":           auth.With(t.Context(), auth.Principal{Kind: auth.KindToken, Organization: "org_1"}),
		"no kind":         auth.With(t.Context(), auth.Principal{ID: "mem_1", Organization: "org_1"}),
		"replaced":        auth.With(auth.With(t.Context(), auth.System("x")), auth.Principal{}),
	} {
		if _, err := auth.From(ctx); license.CodeOf(err) != license.CodeUnauthenticated {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := auth.Require(ctx, auth.Read); license.CodeOf(err) != license.CodeUnauthenticated {
			t.Errorf("%s: %v", what, err)
		}
	}
	p, err := auth.From(auth.With(t.Context(), auth.System("worker")))
	if err != nil || !p.IsSystem() || p.Actor() != "SYSTEM worker" {
		t.Errorf("%+v, %v", p, err)
	}
}

// TestCapabilities is the whole table: who may do what.
func TestCapabilities(t *testing.T) {
	all := []auth.Capability{auth.Read, auth.Order, auth.RunRollout, auth.Release, auth.EditCatalog, auth.ManageMembers, auth.Provision, auth.Link, auth.ManageKeys, auth.EditRules, auth.ReadAudit, auth.ManageWebhook}
	for _, c := range []struct {
		kind auth.Kind
		role auth.Role
		may  string // one letter per capability in the order of all
	}{
		{auth.KindMember, auth.Owner, "xxxxxxx-xxxx"},
		{auth.KindMember, auth.Administrator, "xxxxxxx--xxx"},
		{auth.KindMember, auth.Operator, "xxxx-----x--"},
		{auth.KindMember, auth.Viewer, "x-----------"},
		{auth.KindMember, "", "------------"},
		{auth.KindMember, "GOD", "------------"},
		{auth.KindToken, auth.Operator, "xxxx-----x--"},
		{auth.KindServer, "", "-------x----"},
		{auth.KindServer, auth.Owner, "-------x----"},
		{auth.KindSystem, "", "xxxxxxxxxxxx"},
		{"", auth.Owner, "------------"},
		{"OTHER", auth.Owner, "------------"},
	} {
		p := auth.Principal{Kind: c.kind, Role: c.role, ID: "x", Organization: "y"}
		for i, capability := range all {
			if got := p.Can(capability); got != (c.may[i] == 'x') {
				t.Errorf("%s %s may %s: %v", c.kind, c.role, capability, got)
			}
		}
		if c.kind != auth.KindMember {
			continue
		}
		_, err := auth.Require(auth.With(t.Context(), p), auth.Provision)
		if allowed := c.may[6] == 'x'; allowed != (err == nil) || (!allowed && license.CodeOf(err) != license.CodeForbidden) {
			t.Errorf("%s: %v", c.role, err)
		}
	}
}
