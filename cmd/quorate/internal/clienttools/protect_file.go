package clienttools

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/term"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/durable"
	"github.com/quorate/quorate/internal/license"
)

// fileFlags name what a command reads and what it writes.
type fileFlags struct {
	In     string `arg:"" help:"The file to read; - for standard input."`
	Output string `short:"o" help:"The file to write, whole or not at all; without it, standard output." placeholder:"FILE"`
	Force  bool   `help:"Replace the file to write where there is one."`
}

// check refuses at once what would be refused when all work is done.
func (f fileFlags) check() error {
	if f.Output == "" {
		return nil
	}
	info, err := os.Stat(f.Output)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return license.Errorf(license.CodeInvalidInput, "leave --output out and redirect standard output", "%s is not a regular file", f.Output)
	case err == nil && !f.Force:
		return f.exists()
	case err == nil:
		return nil
	}
	if dir := filepath.Dir(f.Output); !cli.Exists(dir) {
		return license.Errorf(license.CodeNotFound, "create it, or choose another path", "there is no folder %s", dir)
	}
	return nil
}

func (f fileFlags) exists() error {
	return license.Errorf(license.CodeConflict, "choose another name, or replace it with --force", "there is a file %s already", f.Output)
}

// interrupted bounds how long a read that blocks may hold up the end.
const interrupted = time.Second

// convert runs work from the file to read to the file to write. The file to
// write is there only when work and all else went well.
func (f fileFlags) convert(ctx context.Context, std cli.Streams, mode fs.FileMode, work func(dst io.Writer, src io.Reader) error) error {
	src, total := std.In, int64(-1)
	name := "standard input"
	if f.In != "-" {
		file, size, err := openInput(f.In)
		if err != nil {
			return err
		}
		defer file.Close()
		src, total, name = file, size, filepath.Base(f.In)
	}
	dst := std.Out
	var out *durable.File
	if f.Output != "" {
		path := f.Output
		if target, err := filepath.EvalSymlinks(path); err == nil && f.Force {
			path = target // what a link points to is replaced, not the link
		}
		var err error
		if out, err = durable.NewFile(path, mode); err != nil {
			return f.noOutput(err)
		}
		defer out.Close()
		dst = out
	}
	read := &counter{ctx: ctx, r: src}
	if isTerminal(std.Err) && (out != nil || !isTerminal(std.Out)) {
		defer showProgress(std.Err, name, total, &read.n)()
	}
	done := make(chan error, 1)
	go func() { done <- work(dst, read) }()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		select {
		case err = <-done:
		case <-time.After(interrupted):
			err = ctx.Err()
		}
	}
	switch {
	case ctx.Err() != nil && err != nil:
		return &license.Error{Code: license.CodeUnavailable, Message: "interrupted", Fix: "start it again; nothing was written to a file", Err: err}
	case err == nil && out != nil:
		if err = out.Commit(f.Force); errors.Is(err, fs.ErrExist) {
			return f.exists()
		}
	}
	var path *fs.PathError
	if errors.As(err, &path) && out != nil && path.Op == "write" {
		return f.noOutput(err)
	}
	return err
}

func (f fileFlags) noOutput(err error) error {
	return &license.Error{Code: license.CodeUnavailable, Message: fmt.Sprintf("%s can't be written: %v", f.Output, cli.Cause(err)), Fix: "check the folder's permissions and the free space", Err: err}
}

// counter counts what is read, and ends with its context.
type counter struct {
	ctx context.Context //nolint:containedctx // of one command
	r   io.Reader
	n   atomic.Int64
}

func (c *counter) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}

func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

const (
	// patient is how long work may take before its progress is shown.
	patient = time.Second
	// redraw is how often it is shown anew.
	redraw = 500 * time.Millisecond
)

// showProgress shows on one line how far the work is, from a second after its
// start until the function that it gives is called, and leaves nothing behind.
func showProgress(w io.Writer, name string, total int64, read *atomic.Int64) (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	began := time.Now()
	go func() {
		defer close(ended)
		timer := time.NewTimer(patient)
		defer timer.Stop()
		shown := false
		for {
			select {
			case <-end:
				if shown {
					fmt.Fprint(w, "\r\x1b[K")
				}
				return
			case <-timer.C:
				shown = true
				fmt.Fprint(w, "\r"+progressLine(name, total, read.Load(), time.Since(began))+"\x1b[K")
				timer.Reset(redraw)
			}
		}
	}()
	return func() {
		close(end)
		<-ended
	}
}

func progressLine(name string, total, read int64, spent time.Duration) string {
	line := name + ": " + amount(read)
	if total > 0 {
		line += fmt.Sprintf(" of %s, %d %%", amount(total), min(100, int(float64(read)/float64(total)*100)))
	}
	return line + fmt.Sprintf(", %s/s", amount(int64(float64(read)/spent.Seconds())))
}

// amount writes a number of bytes for people.
func amount(n int64) string {
	units := []string{"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	v, i := float64(n), 0
	for v >= 1024 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	if i == 0 {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%.1f %s", v, units[i])
}
