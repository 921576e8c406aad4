package roles

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/platform"
	"github.com/quorate/quorate/internal/platform/accounts"
	"github.com/quorate/quorate/internal/platform/webhooks"
)

// TestStopOfPlatform: who follows something is told at once, whatever the
// workers have still to do; what they do is waited for.
func TestStopOfPlatform(t *testing.T) {
	called, answer := make(chan bool, 1), make(chan bool)
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		called <- true
		<-answer
	}))
	t.Cleanup(receiver.Close)
	sender, err := webhookFlags{WebhookAllow: "127.0.0.1"}.sender()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	flags := databaseFlags{cli.DatabaseFlags{Database: filepath.Join(dir, "quorate.db"), MasterKey: filepath.Join(dir, "master.key")}}
	p, err := flags.openWith(t.Context(), slog.New(slog.DiscardHandler), platform.Config{Webhooks: sender}, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	b, err := p.Bootstrap(t.Context(), accounts.BootstrapSpec{Organization: "Charts", Email: "owner@example.com", Name: "Owner", Password: "correct horse battery"})
	if err != nil {
		t.Fatal(err)
	}
	token, err := p.ownerToken(t.Context(), b, "test")
	if err != nil {
		t.Fatal(err)
	}
	s, err := p.serve(t.Context(), serveConfig{Listen: "127.0.0.1:0", Workers: true, Introspection: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)

	owner := auth.With(t.Context(), auth.Principal{Kind: auth.KindMember, ID: b.Owner.ID, Organization: b.Organization.ID, Role: auth.Owner})
	made, err := p.CreateWebhook(owner, webhooks.EndpointSpec{URL: receiver.URL, Events: []string{"*"}}, "")
	if err != nil {
		t.Fatal(err)
	}
	sent, err := p.TestWebhook(owner, made.Endpoint.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	<-called
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+"/graphql", strings.NewReader(`{"query":"subscription { auditChanged { __typename } }"}`))
	if err != nil {
		t.Fatal(err)
	}
	q.Header = http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {"application/json"}, "Accept": {"text/event-stream"}}
	stream, err := http.DefaultClient.Do(q)
	if err != nil || stream.StatusCode != http.StatusOK {
		t.Fatal(stream, err)
	}
	defer stream.Body.Close()

	told, stopped := make(chan bool), make(chan bool)
	go func() { _, _ = io.Copy(io.Discard, stream.Body); close(told) }()
	go func() { s.Stop(); close(stopped) }()
	select {
	case <-told:
	case <-stopped:
		t.Error("it stopped before the worker did")
	case <-time.After(8 * time.Second):
		t.Error("who follows something waits for a webhook's receiver")
	}
	close(answer)
	<-stopped
	client, err := p.ReadWebhooks(owner)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := client.WebhookDelivery.Get(owner, sent.ID); err != nil || d.State != "DELIVERED" {
		t.Errorf("what was sent is not written down: %+v, %v", d, err)
	}
}
