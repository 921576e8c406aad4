package redislease_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/redislease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/testenv"
)

// replicaOf starts a replica; it is one once the primary has sent it its data.
func replicaOf(t *testing.T, primary *testenv.RedisServer) *testenv.RedisServer {
	t.Helper()
	host, port, err := net.SplitHostPort(primary.Addr)
	if err != nil {
		t.Fatal(err)
	}
	return testenv.Redis(t, "--replicaof", host+" "+port)
}

// TestReplicas: an answer waits for the replicas that are asked for, and nothing
// else is answered where they don't have the change in time. What was changed
// stands, and whoever repeats the call finds it.
func TestReplicas(t *testing.T) {
	primary := testenv.Redis(t, "--repl-diskless-sync-delay", "0")
	patient := connect(t, primary.Addr, redislease.Options{Replicas: 1, ReplicaWait: 2500 * time.Millisecond})
	hasty := connect(t, primary.Addr, redislease.Options{Replicas: 1, ReplicaWait: 100 * time.Millisecond})
	refused := func(err error) {
		t.Helper()
		wantCode(t, err, license.CodeUnavailable)
		if !strings.Contains(err.Error(), "0 of the 1 replicas") {
			t.Errorf("the error doesn't name the replicas: %v", err)
		}
	}
	_, err := hasty.Claim(t.Context(), group, "a")
	refused(err)
	replica := replicaOf(t, primary)
	var seats, impatient lease.Seats
	testenv.Eventually(t, 20*time.Second, func() error {
		seats, err = patient.Claim(t.Context(), group, "a")
		return err
	})
	testenv.Eventually(t, 20*time.Second, func() error {
		impatient, err = hasty.Join(t.Context(), group, "b")
		return err
	})
	r := request(2)
	g, err := seats.Access(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{Addr: replica.Addr})
	defer client.Close()
	there := func(handle string) {
		t.Helper()
		ok, err := client.HExists(t.Context(), "quorate:lease:{"+group.String()+"}:handles", handle).Result()
		if err != nil || !ok {
			t.Fatalf("%s on the replica: %v, %v", handle, ok, err)
		}
	}
	there(g.Handle)

	replica.Kill()
	late := request(2)
	_, err = impatient.Access(t.Context(), late)
	refused(err)
	_, err = impatient.Renew(t.Context(), ref(r, g))
	refused(err)
	other := request(2)
	_, err = impatient.Access(t.Context(), other)
	wantCode(t, err, license.CodeUnavailable) // nor a denial: the seat is taken

	replica.Restart()
	var again lease.Grant
	testenv.Eventually(t, 20*time.Second, func() error {
		again, err = seats.Access(t.Context(), late)
		return err
	})
	if again.Handle != late.ID || !again.Repeated || again.Seat == g.Seat {
		t.Errorf("repeated: %+v", again)
	}
	there(late.ID)
	_, err = seats.Access(t.Context(), other)
	wantCode(t, err, license.CodeNoFreeSeat)
	if err := seats.Release(t.Context(), ref(late, again)); err != nil {
		t.Fatal(err)
	}
	if u, err := seats.Usage(t.Context(), pool); err != nil || u.Taken != 1 {
		t.Errorf("%+v, %v", u, err)
	}

	// One replica of two: the grant waits for both.
	two := connect(t, primary.Addr, redislease.Options{Replicas: 2, ReplicaWait: 100 * time.Millisecond})
	_, err = two.Join(t.Context(), group, "b")
	wantCode(t, err, license.CodeUnavailable)
	if !strings.Contains(err.Error(), "1 of the 2 replicas") {
		t.Error(err)
	}
}
