package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/journal/boltjournal"
	"github.com/quorate/quorate/internal/lease/quorumlease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
	"github.com/quorate/quorate/internal/testenv"
)

// newTMRBench is a TMR group with many licenses, its journals in files.
func newTMRBench(b *testing.B) *lab {
	b.Helper()
	l := newLab(b, labConfig{})
	l.api.order(b, 1_000_000)
	must(b, "rollout", "start", virtual, "--wait", "--url", l.api.url, "--token", l.api.token)
	return l
}

// hold has n handles outstanding: the group is stopped, a leader of the
// benchmark's own takes them on the backends' files, and the group is started
// again. It gives the address of the server that leads.
func (l *lab) hold(b *testing.B, n int) string {
	b.Helper()
	for _, p := range append(l.tmr[:], l.backends[:]...) {
		p.stop(b)
	}
	group, err := license.ParseSerial(virtual)
	if err != nil {
		b.Fatal(err)
	}
	serials := []string{"130-1874829", "130-27845973", "130-3879234"}
	var files [license.Backends]*boltjournal.Journal
	// Few events are kept: the platform would else take them in beside the first
	// calls that are measured.
	few := journal.Options{MostEvents: 100}
	store := quorumlease.New(quorumlease.Options{Journal: few, Journals: func(license.Serial) (all [license.Backends]journal.Backend, err error) {
		for i := range all {
			all[i] = journal.Backend{Name: serials[i], Journal: files[i]}
		}
		return all, nil
	}})
	for i := range files {
		of, err := license.ParseSerial(serials[i])
		if err != nil {
			b.Fatal(err)
		}
		if files[i], err = boltjournal.Open(l.path(fmt.Sprintf("backend-%d.journal", i+1)), of); err != nil {
			b.Fatal(err)
		}
	}
	seats, err := store.Claim(context.Background(), group, "bench")
	if err != nil {
		b.Fatal(err)
	}
	hold(b, seats, group, 0, n)
	_ = store.Close()
	for _, f := range files {
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
	}
	for i := range l.backends {
		name := fmt.Sprintf("backend-%d", i+1)
		l.backends[i] = start(l.t, name, l.args[name]...)
	}
	for i := range l.tmr {
		l.tmr[i] = start(l.t, tmrName(i), l.args[tmrName(i)]...)
	}
	return l.tmr[l.leads(b)].ready["licenseServer"]
}

// leads waits until a TMR server gives a license, and gives its index. To list
// so many handles as leader does takes too long.
func (l *lab) leads(b *testing.B) (leads int) {
	b.Helper()
	conn := rpc.NewClient(rpc.ClientConfig{})
	defer conn.Close()
	testenv.Eventually(b, time.Minute, func() (err error) {
		for i, p := range l.tmr {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			_, err = quoratev1connect.NewLicenseServiceClient(conn, p.ready["licenseServer"], rpc.ClientOptions()).Access(ctx, connect.NewRequest(accessRequest("leads")))
			cancel()
			if err == nil {
				leads = i
				return nil
			}
		}
		return err
	})
	return leads
}

// BenchmarkTMR is access, renewal and release through the TMR server that leads:
// platform, three backends with journals in files and two TMR servers are
// processes of their own. In the same run stand lease grants of three members of
// etcd, where that is installed, by gRPC from as many clients.
func BenchmarkTMR(b *testing.B) {
	l := newTMRBench(b)
	member := etcd(b)
	grants := map[int]float64{}
	first := map[int]float64{}
	for _, held := range []int{10, 100_000} {
		server := l.hold(b, held)
		for _, clients := range clientCounts() {
			b.Run(fmt.Sprintf("handles=%d/clients=%d", held, clients), func(b *testing.B) {
				r := load(b, programWorkers(b, server, clients))
				if member != "" {
					if grants[clients] == 0 {
						grants[clients] = baseline(b, etcdWorkers(b, member, clients), 1)[opAccess]
					}
					b.ReportMetric(grants[clients], "etcd-grant/s")
					b.ReportMetric(r[opAccess]/grants[clients], "access-of-etcd")
				}
				cycle := b.Elapsed().Seconds() / float64(b.N)
				if held == 10 {
					first[clients] = cycle
				} else if first[clients] > 0 {
					b.ReportMetric(cycle/first[clients], "cost-growth")
				}
			})
		}
	}
}

// BenchmarkTMRTakeover is the time from the end of the server that leads, by
// SIGKILL, to the first access through the other one: it has an election in it.
func BenchmarkTMRTakeover(b *testing.B) {
	l := newTMRBench(b)
	for _, held := range []int{1_000, 100_000} {
		l.hold(b, held)
		b.Run(fmt.Sprintf("seats=%d", held), func(b *testing.B) {
			failed := 0
			for n := range b.N {
				b.StopTimer()
				leads := l.leads(b)
				other := 1 - leads
				conn := rpc.NewClient(rpc.ClientConfig{})
				api := quoratev1connect.NewLicenseServiceClient(conn, l.tmr[other].ready["licenseServer"], rpc.ClientOptions())
				b.StartTimer()
				l.tmr[leads].kill()
				testenv.Eventually(b, time.Minute, func() error {
					ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
					defer cancel()
					_, err := api.Access(ctx, connect.NewRequest(accessRequest(fmt.Sprint("takeover-", n))))
					return err
				})
				b.StopTimer()
				conn.Close()
				failed += strings.Count(l.tmr[other].output(), "the seats can't be claimed")
				l.tmr[leads] = start(l.t, tmrName(leads), l.args[tmrName(leads)]...)
				b.StartTimer()
			}
			b.ReportMetric(float64(failed)/float64(b.N), "failed-claims")
		})
	}
}

// BenchmarkOpenKey opens wrapped keys with a living handle, from 16 clients: by
// one backend, asked as a TMR server asks it, and through the TMR server, which
// asks all three in turn.
func BenchmarkOpenKey(b *testing.B) {
	const clients = 16
	l := newTMRBench(b)
	wrapped, _ := l.wrapKey(b)
	server := l.tmr[l.leads(b)].ready["licenseServer"]
	plain := rpc.NewClient(rpc.ClientConfig{})
	b.Cleanup(plain.Close)
	programs := quoratev1connect.NewLicenseServiceClient(plain, server, rpc.ClientOptions())
	var token []byte // of a handle that lives through one measurement
	key, err := rpc.LoadOrCreateKey(l.path(tmrName(0) + ".key"))
	if err != nil {
		b.Fatal(err)
	}
	var one float64
	run := func(name string, open func(b *testing.B) worker) {
		b.Run(name, func(b *testing.B) {
			res, err := programs.Access(context.Background(), connect.NewRequest(accessRequest("opener")))
			if err != nil {
				b.Fatal(err)
			}
			token = res.Msg.GetHandle().GetToken()
			workers := make([]worker, clients)
			for w := range workers {
				workers[w] = open(b)
			}
			measure(b, clients, workers, 1)
			b.ResetTimer()
			_, spent := measure(b, b.N, workers, 1)
			b.StopTimer()
			rate := float64(b.N) / spent[0].Seconds()
			b.ReportMetric(rate, "keys/s")
			if name == "backends=1" {
				one = rate
			} else if one > 0 {
				b.ReportMetric(rate/one, "of-one-backend")
			}
		})
	}
	run("backends=1", func(b *testing.B) worker {
		backend, _, _ := strings.Cut(l.backends[0].ready["backend"], "?")
		conn := rpc.NewClient(rpc.ClientConfig{TLS: rpc.ClientTLS(key, []string{l.pin(b, "backend-1")})})
		b.Cleanup(conn.Close)
		api := quoratev1connect.NewBackendServiceClient(conn, backend, rpc.ClientOptions())
		return func(int, int) error {
			_, err := api.BackendOpenKey(context.Background(), connect.NewRequest(&quoratev1.BackendOpenKeyRequest{
				Product: rpc.ProductProto(benchProduct()), WrappedKey: wrapped, Token: token,
			}))
			return err
		}
	})
	run("backends=3", func(b *testing.B) worker {
		conn := rpc.NewClient(rpc.ClientConfig{})
		b.Cleanup(conn.Close)
		api := quoratev1connect.NewLicenseServiceClient(conn, server, rpc.ClientOptions())
		return func(int, int) error {
			_, err := api.OpenKey(context.Background(), connect.NewRequest(&quoratev1.OpenKeyRequest{Token: token, WrappedKey: wrapped}))
			return err
		}
	})
}

// pin is the pin of a server's TLS key.
func (l *lab) pin(b *testing.B, name string) string {
	b.Helper()
	key, err := rpc.LoadOrCreateKey(l.path(name + ".key"))
	if err != nil {
		b.Fatal(err)
	}
	return key.Pin()
}
