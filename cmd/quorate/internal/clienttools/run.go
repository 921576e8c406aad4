package clienttools

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"time"

	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/license"
)

// Run runs a program with a license.
type Run struct {
	addressFlags
	statedFlags
	accessFlags
	Product string         `required:"" help:"FIRM:PRODUCT, for example 6000010:14."`
	Wait    *time.Duration `help:"Queue for so long when no license is free; the place in the queue is shown. Without it the program doesn't start then." placeholder:"TIME"`
	Units   uint64         `help:"Take so many units of the license before the program starts." placeholder:"N"`
	Program []string       `arg:"" passthrough:"" help:"The program and its arguments."`
}

// Help has the examples.
func (Run) Help() string {
	return `The program starts only when a license was given, and is ended (SIGTERM, then
SIGKILL after 10 s) when the license is lost, with all that it has started, unless
that has left its process group. Its exit status is passed on.
Units are taken before it starts, and stay taken. When somebody asks for the
license, that is shown on standard error.

A borrowed license outlives the program: until its time is over the same command
uses it again, without a license server, and quorate return gives it back.

Examples:
  quorate run --server http://licenses:7400 --product 6000010:14 -- chartproc data.csv
  quorate run --server http://licenses:7400 --product 6000010:14 --mode station-share -- chartproc
  quorate run --server http://licenses:7400 --product 6000010:14 --licenses 8 --wait 30m -- chartproc --cores 8
  quorate run --server http://licenses:7400 --product 6000010:14 --borrow 3d -- chartproc
  quorate run --server http://licenses:7400 --product 6000010:14 --program-version 10.4 --units 3 -- chartproc a b c`
}

const (
	killAfter = 10 * time.Second
	// lookEvery is how often it is looked whether all that a program has started
	// has ended.
	lookEvery = 50 * time.Millisecond
)

// Run holds a license while the program runs, and passes its exit status on.
func (c *Run) Run(ctx context.Context, std cli.Streams, logger *slog.Logger) error {
	program := c.Program
	if len(program) > 0 && program[0] == "--" {
		program = program[1:]
	}
	if len(program) == 0 {
		return license.Errorf(license.CodeInvalidInput, "name it after --", "there is no program to run")
	}
	path, err := exec.LookPath(program[0])
	if err != nil {
		return &license.Error{Code: license.CodeNotFound, Message: fmt.Sprintf("there is no program %q", program[0]), Fix: "check its name, its path and that it is executable", Err: err}
	}
	opts, err := c.options(std.Err)
	if err != nil {
		return err
	}
	sdk, err := c.openFor(ctx, trying, cli.Quiet(logger), func(cfg *client.Config) {
		cfg.Application, cfg.Station = program[0], c.Station
	})
	if err != nil {
		return err
	}
	defer sdk.Close()
	h, err := sdk.Access(ctx, c.Product, opts...)
	if err != nil {
		return err
	}
	if i := h.Info(); i.Borrowed {
		fmt.Fprintf(std.Err, "quorate: %s is borrowed until %s; quorate return gives it back\n", c.Product, time.Now().Add(i.Remaining).Format(time.RFC3339))
	}
	if c.Units != 0 {
		if err := c.consume(ctx, h); err != nil {
			return err
		}
	}
	cmd := exec.Command(path, program[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = std.In, std.Out, std.Err
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, forwarded...)
	defer signal.Stop(signals)
	j, err := startJob(cmd)
	if err != nil {
		return err
	}
	defer j.close()
	return c.attend(h, j, signals, std.Err)
}

// attend waits for the program's end, and ends it with its license: then also
// what it has started.
func (c *Run) attend(h *client.Handle, j *job, signals <-chan os.Signal, w io.Writer) error {
	lost, notices := h.Done(), h.Notices()
	var look, kill <-chan time.Time
	var lostErr error
	for {
		select {
		case status := <-j.ended:
			switch {
			case lostErr == nil && status == 0:
				return nil
			case lostErr == nil:
				return cli.ExitStatus(status)
			case !j.alive():
				return lostErr
			}
			ticker := time.NewTicker(lookEvery)
			defer ticker.Stop()
			look = ticker.C
		case <-look:
			if !j.alive() {
				return lostErr
			}
		case s := <-signals:
			j.forward(s)
		case s := <-j.stopped:
			j.suspend(s)
		case n, open := <-notices:
			if !open {
				notices = nil
				continue
			}
			c.notice(w, n)
		case <-lost:
			lost, lostErr = nil, h.Err()
			j.end()
			kill = time.After(killAfter)
		case <-kill:
			j.kill()
		}
	}
}

func (c *Run) notice(w io.Writer, n client.Notice) {
	text := fmt.Sprintf("quorate: %s asks you to release %s", cli.Printable(n.By), c.Product)
	if n.Text != "" {
		text += ": " + cli.Printable(n.Text)
	}
	fmt.Fprintln(w, text)
}

func (c *Run) options(progress io.Writer) ([]client.Option, error) {
	opts, err := c.statedFlags.options()
	if err != nil {
		return nil, err
	}
	more, err := c.accessFlags.options()
	if err != nil {
		return nil, err
	}
	opts = append(opts, more...)
	if c.Wait != nil && *c.Wait > 0 {
		var last client.Place
		opts = append(opts, client.WithWait(*c.Wait, func(p client.Place) {
			if p.Position == last.Position && p.Waiting == last.Waiting {
				return
			}
			last = p
			text := fmt.Sprintf("quorate: waiting for %s at place %d of %d", c.Product, p.Position, p.Waiting)
			if p.NextFree > 0 {
				text += fmt.Sprintf("; the next license may be free in %s", p.NextFree.Round(time.Second))
			}
			fmt.Fprintln(progress, text)
		}))
	}
	return opts, nil
}

func (c *Run) consume(ctx context.Context, h *client.Handle) error {
	ctx, cancel := context.WithTimeout(ctx, trying)
	defer cancel()
	_, err := h.Consume(ctx, c.Units)
	return err
}
