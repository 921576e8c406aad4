package roles

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/tenants"
	"github.com/quorate/quorate/internal/seal"
)

// sample is one of the demo's programs.
type sample struct{ user, host, application string }

func samples() [demoPrograms]sample {
	return [demoPrograms]sample{
		{"a.meier", "ws-0077", "chartproc"}, {"l.chen", "ws-0142", "chartproc"}, {"j.okafor", "lap-551", "chartview"},
		{"p.novak", "term-03", "chartproc"}, {"y.tanaka", "term-03", "chartproc"}, {"m.rossi", "ws-0101", "chartbatch"},
		{"svc-build", "ci-runner-9", "chartbatch"}, {"s.lindqvist", "lap-217", "chartview"}, {"d.silva", "ws-0088", "chartproc"},
		{"k.yilmaz", "term-07", "chartproc"}, {"e.dubois", "ws-0119", "chartview"}, {"r.patel", "lap-330", "chartproc"},
	}
}

// startTime is how long the demo's start waits for the sample programs.
const startTime = 5 * time.Second

// keyEvery is how often a sample program opens its protected data key.
const keyEvery = 5 * time.Second

// programs starts the sample programs; each holds a license until the demo ends
// and opens a protected key with it now and then.
func (d *demo) programs(ctx context.Context, server string) error {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	d.onStop(func() { cancel(); wg.Wait() })
	public, err := d.publicKey(ctx)
	if err != nil {
		return err
	}
	started := make(chan struct{}, demoPrograms)
	for _, s := range samples() {
		c, err := client.Open(ctx, client.Config{
			Servers: []string{server}, Application: s.application, User: s.user, Station: s.host, Address: s.host,
			Wait: 30 * time.Second,
		})
		if err != nil {
			return err
		}
		wg.Go(func() {
			defer c.Close()
			s.run(ctx, c, public, started, d.log.With("program", s.application, "user", s.user))
		})
	}
	// After a crash the old seats end first; that takes a lease, which nobody
	// should have to watch.
	patience := time.After(startTime)
	for range demoPrograms {
		select {
		case <-started:
		case <-patience:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// run is the sample program: without a license it tries again, as a person
// would start it again. It tells started of its first license.
func (s sample) run(ctx context.Context, c *client.Client, public []byte, started chan<- struct{}, log *slog.Logger) {
	p := license.Product{Firm: demoFirm, Code: demoProduct}
	for ctx.Err() == nil {
		h, err := c.Access(ctx, p.String())
		if err == nil {
			if started != nil {
				started <- struct{}{}
				started = nil
			}
			err = s.work(ctx, h, p, public)
		}
		if err != nil && ctx.Err() == nil {
			log.Warn("sample program has no license", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(2 * time.Second):
		}
	}
}

func (s sample) work(ctx context.Context, h *client.Handle, p license.Product, public []byte) error {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	wrapped, err := seal.WrapKey(public, p, key)
	if err != nil {
		return err
	}
	tick := time.NewTicker(keyEvery)
	defer tick.Stop()
	for {
		opened, err := h.OpenKey(ctx, wrapped)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		case !bytes.Equal(opened, key):
			return fmt.Errorf("%s opened to another key", p)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-h.Done():
			return h.Err()
		case <-tick.C:
		}
	}
}

// publicKey is the product's, as the platform gives it to everybody who
// protects data.
func (d *demo) publicKey(ctx context.Context) ([]byte, error) {
	var out struct {
		Products struct {
			Edges []struct {
				Node struct{ Reference, PublicKey string }
			}
		}
	}
	api := cli.APIFlags{URL: d.served.URL(), Token: d.secrets.Token}
	if err := api.Query(ctx, `{ products(first: 100) { edges { node { reference publicKey } } } }`, nil, &out); err != nil {
		return nil, err
	}
	want := license.Product{Firm: demoFirm, Code: demoProduct}.String()
	for _, e := range out.Products.Edges {
		if e.Node.Reference == want {
			return base64.StdEncoding.DecodeString(e.Node.PublicKey)
		}
	}
	return nil, license.Errorf(license.CodeNotFound, "start with another --data folder", "the demo's product %s is missing", want)
}

// showUsers has the demo's customer choose that its vendor, as whom one signs
// in, sees who uses what: new customers show pseudonyms only.
func showUsers(ctx context.Context, p *openPlatform, g *ent.TmrGroup) error {
	customer := auth.Principal{Kind: auth.KindMember, ID: "demo", Organization: *g.CustomerID, Provider: g.VendorID, Role: auth.Owner, Name: "Demo"}
	ctx = auth.With(ctx, customer)
	org, err := p.Store().Client().Organization.Get(ctx, customer.Organization)
	all := property.VisibilityAll
	if err != nil || org.UserVisibility == all {
		return err
	}
	_, err = p.UpdateOrganization(ctx, org.ID, org.Revision, tenants.OrganizationChange{UserVisibility: &all})
	return err
}
