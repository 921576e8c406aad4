package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"

	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
	"github.com/quorate/quorate/internal/seal"
	"github.com/quorate/quorate/internal/testenv"
)

// The whole job on PostgreSQL and Redis, every server a process of its own,
// started from the command line.
func TestJobOnPostgresAndRedis(t *testing.T) {
	redis := testenv.Redis(t)
	l := newLab(t, labConfig{database: testenv.Postgres(t), redis: redis.URL()})
	runJob(t, l.api, l.programServers(), 0, func() {
		must(t, "rollout", "start", virtual, "--url", l.api.url, "--token", l.api.token)
	})
}

// The availability table, row by row: what is down was killed.
func TestAvailability(t *testing.T) {
	l := newLab(t, labConfig{lease: "1m"}) // a standby believes no token of less than half of that
	const (
		active  = "active"
		standby = "standby"
		down    = "down"
	)
	rows := []struct {
		tmr      [2]string
		backends [3]bool
		ok       bool
	}{
		{[2]string{active, standby}, [3]bool{true, true, true}, true},
		{[2]string{standby, active}, [3]bool{true, true, true}, true},
		{[2]string{active, down}, [3]bool{true, true, true}, true},
		{[2]string{down, active}, [3]bool{true, true, true}, true},
		{[2]string{active, standby}, [3]bool{false, true, true}, true},
		{[2]string{active, standby}, [3]bool{true, false, true}, true},
		{[2]string{active, standby}, [3]bool{true, true, false}, true},
		{[2]string{down, active}, [3]bool{true, false, true}, true},
		{[2]string{down, active}, [3]bool{true, false, false}, false},
	}
	// A program that holds a license all the way through, whatever is killed.
	p := newPrograms(t, l.programServers()...)
	p.take(1)
	wrapped, key := l.wrapKey(t)
	for i, row := range rows {
		t.Logf("row %d: %v %v", i+1, row.tmr, row.backends)
		for b, up := range row.backends {
			l.set(&l.backends[b], fmt.Sprintf("backend-%d", b+1), up)
		}
		for s, role := range row.tmr {
			l.set(&l.tmr[s], tmrName(s), role != down)
		}
		for s, role := range row.tmr {
			if role == active && row.ok { // else nobody can lead
				l.makeLeader(s)
			}
		}
		// A program doesn't know who is active: it has both addresses.
		q := newPrograms(t, l.programServers()...)
		c, err := q.open("visitor")
		if err != nil {
			t.Fatal(err)
		}
		if !row.ok {
			testenv.Eventually(t, 10*time.Second, func() error {
				h, err := c.Access(context.Background(), product)
				if err == nil {
					_ = h.Release(context.Background())
				}
				if client.CodeOf(err) != client.CodeNoMajority {
					return fmt.Errorf("access: %v, want %s", err, client.CodeNoMajority)
				}
				return nil
			})
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		h, err := c.Access(ctx, product)
		if err != nil {
			t.Fatalf("row %d: access: %v", i+1, err)
		}
		opened, err := h.OpenKey(ctx, wrapped)
		if err != nil || !bytes.Equal(opened, key) {
			t.Fatalf("row %d: a key opened to %x, %v", i+1, opened, err)
		}
		if err := h.Release(ctx); err != nil {
			t.Errorf("row %d: release: %v", i+1, err)
		}
		cancel()
		if row.tmr[0] == active && row.tmr[1] == standby {
			l.opensOnStandby(t, wrapped, key)
		}
		p.wantAlive()
	}
}

// opensOnStandby has the second TMR server open a key for a handle that the first
// one gave, until the handle is released.
func (l *lab) opensOnStandby(t *testing.T, wrapped, key []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	var apis [2]quoratev1connect.LicenseServiceClient
	for i, s := range l.tmr {
		web := rpc.NewClient(rpc.ClientConfig{})
		defer web.Close()
		apis[i] = quoratev1connect.NewLicenseServiceClient(web, s.ready["licenseServer"], rpc.ClientOptions())
	}
	p, err := license.ParseProduct(product)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := apis[0].Access(ctx, connect.NewRequest(&quoratev1.AccessRequest{
		RequestId: uuid.NewString(), Product: rpc.ProductProto(p), Client: &quoratev1.Client{User: "visitor"},
	}))
	if err != nil {
		t.Fatal(err)
	}
	token := answer.Msg.GetHandle().GetToken()
	open := func() ([]byte, error) {
		res, err := apis[1].OpenKey(ctx, connect.NewRequest(&quoratev1.OpenKeyRequest{Token: token, WrappedKey: wrapped}))
		if err != nil {
			return nil, err
		}
		return res.Msg.GetKey(), nil
	}
	testenv.Eventually(t, 4*time.Second, func() error { // a backend of before may still join
		opened, err := open()
		if err == nil && !bytes.Equal(opened, key) {
			return fmt.Errorf("the key opened to %x", opened)
		}
		return err
	})
	if _, err := apis[0].Release(ctx, connect.NewRequest(&quoratev1.ReleaseRequest{Token: token})); err != nil {
		t.Fatal(err)
	}
	if _, err := open(); license.CodeOf(err) != license.CodeNotLeader {
		t.Errorf("for a handle that was released: %v", err)
	}
}

func tmrName(i int) string { return []string{"tmr-a", "tmr-b"}[i] }

// set starts or kills a part.
func (l *lab) set(p **process, name string, up bool) {
	l.t.Helper()
	alive := true
	select {
	case <-(*p).exited:
		alive = false
	default:
	}
	switch {
	case alive && !up:
		(*p).kill()
	case !alive && up:
		*p = start(l.t, name, l.args[name]...)
	}
}

// makeLeader kills and restarts the other TMR server until this one leads.
func (l *lab) makeLeader(s int) {
	l.t.Helper()
	other := 1 - s
	select {
	case <-l.tmr[other].exited: // it can't lead
	default:
		if l.leader(0, 1) == other {
			l.set(&l.tmr[other], tmrName(other), false)
			l.leader(s)
			l.set(&l.tmr[other], tmrName(other), true)
		}
	}
	l.leader(s)
}

// wrapKey makes a data key that only a license for the product opens.
func (l *lab) wrapKey(t testing.TB) (wrapped, key []byte) {
	t.Helper()
	var out struct {
		Products struct {
			Edges []struct{ Node struct{ PublicKey string } }
		}
	}
	l.api.query(t, `{ products { edges { node { publicKey } } } }`, nil, &out)
	public, err := base64.StdEncoding.DecodeString(out.Products.Edges[0].Node.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	key = make([]byte, 32)
	_, _ = rand.Read(key)
	wrapped, err = seal.WrapKey(public, license.Product{Firm: 6000010, Code: 14}, key)
	if err != nil {
		t.Fatal(err)
	}
	return wrapped, key
}
