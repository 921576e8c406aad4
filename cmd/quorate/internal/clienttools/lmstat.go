package clienttools

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/cmd/quorate/internal/cli"
)

// Lmstat writes a report for scripts that read lmstat's.
type Lmstat struct {
	serverFlags
	cli.AdminFlags
	All     bool   `short:"a" help:"Everything, as always; taken for the sake of scripts."`
	Feature string `short:"f" help:"Only this feature, by its name here." placeholder:"NAME"`
}

// Help has the examples.
func (Lmstat) Help() string {
	return `Writes what scripts look for that read "lmstat -a": the servers, up or down, and
for each product "Users of NAME:  (Total of … licenses issued; …)" with a line for
each handle that takes a license. NAME is the product's name, with _ for what is no
letter, digit, dot or hyphen; where two are the same, with _ and the product code.
The exit status is 1 when no server answers.

Examples:
  quorate lmstat --server http://licenses:7400 -a
  quorate lmstat --server http://licenses:7400 -f Chart_Processing`
}

// lmVersion is what stands where lmstat has versions of features.
const lmVersion = "v1.0"

// probeEvery is how often servers are asked while none is active: one may be about
// to take over.
const probeEvery = 200 * time.Millisecond

// Run asks every server whether it is up, and one for what it has.
func (c *Lmstat) Run(ctx context.Context, std cli.Streams, logger *slog.Logger) error {
	sdk, err := c.open(ctx, cli.Quiet(logger), c.authorize(c.AdminFlags))
	if err != nil {
		return err
	}
	defer sdk.Close()
	r := lmReport{now: time.Now(), servers: c.servers(ctx, logger), feature: c.Feature}
	if slices.ContainsFunc(r.servers, func(s lmServer) bool { return s.active }) {
		if r.licenses, err = sdk.Licenses(ctx); err != nil {
			return err
		}
		if r.handles, err = sdk.Handles(ctx, client.Filter{Taking: true}); err != nil {
			return err
		}
		if r.waiting, err = sdk.Waiting(ctx, ""); err != nil {
			return err
		}
	}
	if err := r.write(std.Out); err != nil {
		return err
	}
	if r.active() == nil {
		return cli.ExitStatus(cli.ExitFailure)
	}
	return nil
}

// lmServer is a license server as the report shows it.
type lmServer struct {
	host, port string
	up         bool
	active     bool // it is up and decides
}

// servers asks each one by itself, all at once, until one of them is active or
// c.Wait is over.
func (c *Lmstat) servers(ctx context.Context, logger *slog.Logger) []lmServer {
	ctx, cancel := context.WithTimeout(ctx, c.Wait)
	defer cancel()
	all, sdks := make([]lmServer, len(c.Server)), make([]*client.Client, len(c.Server))
	for i, address := range c.Server {
		s := &all[i]
		s.host, s.port = address, "0"
		if u, err := url.Parse(address); err == nil && u.Host != "" {
			s.host, s.port = u.Hostname(), cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme], "0")
		}
		sdk, err := addressFlags{Server: []string{address}}.openFor(ctx, c.Wait, cli.Quiet(logger), nil)
		if err != nil {
			continue
		}
		defer sdk.Close()
		sdks[i] = sdk
	}
	for {
		var asking sync.WaitGroup
		for i, sdk := range sdks {
			if sdk == nil {
				continue
			}
			asking.Go(func() {
				err := sdk.Probe(ctx)
				s := &all[i]
				s.active = err == nil
				s.up = s.active || client.CodeOf(err) != client.CodeUnavailable || (s.up && ctx.Err() != nil)
			})
		}
		asking.Wait()
		if ctx.Err() != nil || slices.ContainsFunc(all, func(s lmServer) bool { return s.active }) {
			return all
		}
		select {
		case <-ctx.Done():
		case <-time.After(probeEvery):
		}
		if ctx.Err() != nil {
			return all
		}
	}
}

// lmReport is what a report tells.
type lmReport struct {
	now      time.Time
	servers  []lmServer
	feature  string // empty: all
	licenses []client.License
	handles  []client.Allocation
	waiting  []client.Waiter
}

func (r *lmReport) active() *lmServer {
	for i := range r.servers {
		if r.servers[i].active {
			return &r.servers[i]
		}
	}
	return nil
}

func (r *lmReport) write(out io.Writer) error {
	w := &failing{w: out}
	fmt.Fprintln(w, "lmstat - Quorate")
	fmt.Fprintf(w, "Flexible License Manager status on %s\n\n", lmDate(r.now, "Mon 1/2/2006"))
	var names []string
	for _, s := range r.servers {
		names = append(names, s.port+"@"+word(s.host))
	}
	fmt.Fprintf(w, "License server status: %s\n", strings.Join(names, ","))
	for _, s := range r.servers {
		state := "DOWN"
		switch {
		case s.active:
			state = "UP (MASTER) " + lmVersion
		case s.up:
			state = "UP " + lmVersion
		}
		fmt.Fprintf(w, "\n%s: license server %s\n", word(s.host), state)
	}
	active := r.active()
	if active == nil {
		fmt.Fprintln(w, "\nError getting status: no license server answers.")
		return w.err
	}
	fmt.Fprintf(w, "\nVendor daemon status (on %s):\n\n", word(active.host))
	firms := map[string]bool{}
	for _, l := range r.licenses {
		if firm, _, _ := strings.Cut(l.Product, ":"); !firms[firm] {
			firms[firm] = true
			fmt.Fprintf(w, "%10s: UP %s\n", firm, lmVersion)
		}
	}
	fmt.Fprint(w, "\nFeature usage info:\n\n")
	for i, name := range features(r.licenses) {
		if r.feature == "" || r.feature == name {
			r.users(w, *active, r.licenses[i], name)
		}
	}
	return w.err
}

// users writes one feature.
func (r *lmReport) users(w io.Writer, s lmServer, l client.License, name string) {
	firm, _, _ := strings.Cut(l.Product, ":")
	switch {
	case !l.Usable:
		fmt.Fprintf(w, "Users of %s:  (Error: %s, %s)\n\n", name, licenses(l.Total), l.WhyNot)
		return
	case l.Total == 0 && l.Status == "":
		fmt.Fprintf(w, "Users of %s:  (Uncounted, node-locked)\n\n", name)
		return
	}
	fmt.Fprintf(w, "Users of %s:  (Total of %s issued;  Total of %s in use)\n", name, licenses(l.Total), licenses(l.TakenTotal))
	printed := false
	handle := func(user, host, display string, n uint32, then string, args ...any) {
		if !printed {
			printed = true
			expiry := "permanent(no expiration date)"
			if !l.Until.IsZero() {
				expiry = strings.ToLower(l.Until.Local().Format("02-Jan-2006"))
			}
			fmt.Fprintf(w, "\n  %q %s, vendor: %s, expiry: %s\n  floating license\n\n", name, lmVersion, firm, expiry)
		}
		fmt.Fprintf(w, "    %s %s %s (%s) (%s/%s %d)%s\n", word(user), word(host), word(display), lmVersion, word(s.host), s.port, n, fmt.Sprintf(then, args...))
	}
	for _, h := range r.handles {
		if h.Product != l.Product || h.Takes == 0 {
			continue
		}
		more := ""
		if h.Takes > 1 {
			more = ", " + licenses(h.Takes)
		}
		if h.Borrowed {
			more += fmt.Sprintf(" (linger: %d)", int64(h.Remaining/time.Second))
		}
		handle(h.User, h.Address, h.Station, h.Seat, ", start %s%s", lmDate(h.FirstAccess, "Mon 1/2"), more)
	}
	for _, q := range r.waiting {
		if q.Product == l.Product {
			handle(q.User, q.Address, q.Station, q.Position, " queued for %s", licenses(q.Licenses))
		}
	}
	fmt.Fprintln(w)
}

// lmDate is a day in a layout, and the time, whose hours have no zero before.
func lmDate(t time.Time, day string) string {
	t = t.Local()
	return fmt.Sprintf("%s %d:%02d", t.Format(day), t.Hour(), t.Minute())
}

func licenses(n uint32) string {
	if n == 1 {
		return "1 license"
	}
	return fmt.Sprintf("%d licenses", n)
}

// features gives each license a name of its own that is one word.
func features(all []client.License) []string {
	names, seen := make([]string, len(all)), map[string]int{}
	for i, l := range all {
		names[i] = word(l.Name)
		seen[names[i]]++
	}
	for i, l := range all {
		if l.Name == "" || seen[names[i]] > 1 {
			_, code, _ := strings.Cut(l.Product, ":")
			names[i] += "_" + code
		}
	}
	return names
}

// word makes a word of anything, for scripts that split lines at spaces.
func word(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("._-\\@", r), r > 0x7f && cli.Printable(string(r)) == string(r):
			return r
		}
		return '_'
	}, s)
	return cmp.Or(s, "-")
}

// failing keeps the first error of a writer.
type failing struct {
	w   io.Writer
	err error
}

func (f *failing) Write(b []byte) (int, error) {
	if f.err == nil {
		_, f.err = f.w.Write(b)
	}
	return len(b), f.err
}
