// Package filetools holds the commands on containers' files, and on the requests,
// updates and receipts that pass between customer and vendor.
package filetools

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/container"
	"github.com/quorate/quorate/internal/durable"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/offline"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
	"github.com/quorate/quorate/internal/seal"
)

// placeFlags name what the file tools work on: a container's file, or a TMR
// group through its active TMR server. The container goes first, since the
// server may come from the environment.
type placeFlags struct {
	BindFlags
	Container string   `help:"A container's file; its server must not run."`
	Server    []string `help:"A TMR server's address, on its own machine or with its administrator token: http://HOST:PORT or https://HOST:PORT?pin=sha256:…; of several the active one is taken." env:"QUORATE_SERVER" placeholder:"URL"`
	cli.AdminFlags
}

func (f placeFlags) check() error {
	if f.Container == "" && len(f.Server) == 0 {
		return license.Errorf(license.CodeInvalidInput, "give --container FILE for one container, or --server URL for a TMR group", "it is not clear what to work on")
	}
	if f.Container != "" {
		return nil
	}
	return f.CheckFor(f.Server)
}

// withContainer opens the container for one use.
func (f placeFlags) withContainer(at Site, use func(*container.Container) error) error {
	held, err := at.Open(f.Container, f.BindFlags)
	if err != nil {
		return err
	}
	return errors.Join(use(held), held.Close())
}

// onActive calls the group's active TMR server: each server in turn, until one
// is neither the standby nor away.
func (f placeFlags) onActive(call func(quoratev1connect.AdminServiceClient) error) error {
	var first error
	for _, address := range f.Server {
		err := onServer(address, call)
		if code := license.CodeOf(err); err == nil || (code != license.CodeNotLeader && code != license.CodeUnavailable) {
			return err
		}
		if first == nil {
			first = err
		}
	}
	return first
}

func onServer(address string, call func(quoratev1connect.AdminServiceClient) error) error {
	bad := license.Errorf(license.CodeInvalidInput, "write it as http://HOST:PORT or https://HOST:PORT?pin=sha256:…", "%q is not a TMR server's address", address)
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return bad
	}
	pins := u.Query()["pin"]
	for _, pin := range pins {
		if u.Scheme != "https" || rpc.CheckPin(pin) != nil {
			return bad
		}
	}
	var conf rpc.ClientConfig
	if len(pins) > 0 {
		conf.TLS = rpc.ClientTLS(nil, pins)
	}
	client := rpc.NewClient(conf)
	defer client.Close()
	return call(quoratev1connect.NewAdminServiceClient(client, u.Scheme+"://"+u.Host+strings.TrimRight(u.Path, "/"), rpc.ClientOptions()))
}

// Request writes a request file.
type Request struct {
	placeFlags
	Output string `help:"Where to write the request: a file, or - for standard output." short:"o" default:"-"`
}

// Help has the examples.
func (Request) Help() string {
	return `Examples:
  quorate request --container container.qrc -o one.lreq
  quorate request --server http://127.0.0.1:7400 -o group.lreq      # all three backends`
}

// Run asks the container, or the group, and writes what it answers.
func (c *Request) Run(ctx context.Context, std cli.Streams, at Site) error {
	if err := c.check(); err != nil {
		return err
	}
	if err := Writable(c.Output, armor.Request); err != nil {
		return err
	}
	f := armor.File{Kind: armor.Request}
	if c.Container != "" {
		err := c.withContainer(at, func(held *container.Container) error {
			b, err := held.Fingerprint(nil)
			f.Messages = [][]byte{b}
			return err
		})
		if err != nil {
			return err
		}
		return writeArmored(std.Out, c.Output, f)
	}
	err := c.onActive(func(admin quoratev1connect.AdminServiceClient) error {
		req := connect.NewRequest(&quoratev1.OfflineRequestRequest{})
		c.Authorize(req.Header())
		res, err := admin.OfflineRequest(ctx, req)
		if err != nil {
			return err
		}
		f.Messages = res.Msg.GetFingerprints()
		f.Group, err = license.ParseSerial(res.Msg.GetVirtual())
		return err
	})
	if err != nil {
		return err
	}
	return writeArmored(std.Out, c.Output, f)
}

// Receipt writes a receipt file.
type Receipt struct {
	placeFlags
	Output string `help:"Where to write the receipts: a file, or - for standard output." short:"o" default:"-"`
}

// Help has the examples.
func (Receipt) Help() string {
	return `The receipts of each firm's last installed update: quorate apply writes them
too, this writes them again.

Examples:
  quorate receipt --container container.qrc -o one.lrcp
  quorate receipt --server http://127.0.0.1:7400 -o group.lrcp`
}

// Run writes the receipts of what is installed.
func (c *Receipt) Run(ctx context.Context, std cli.Streams, at Site) error {
	if err := c.check(); err != nil {
		return err
	}
	if err := Writable(c.Output, armor.Receipt); err != nil {
		return err
	}
	f := armor.File{Kind: armor.Receipt}
	if c.Container != "" {
		err := c.withContainer(at, func(held *container.Container) (err error) {
			if f.Messages, err = held.Receipts(); err == nil && len(f.Messages) == 0 {
				err = license.Errorf(license.CodeNotFound, "apply an update first", "no update is installed in %s, so there is no receipt", held.Serial())
			}
			return err
		})
		if err != nil {
			return err
		}
		return writeArmored(std.Out, c.Output, f)
	}
	err := c.onActive(func(admin quoratev1connect.AdminServiceClient) error {
		req := connect.NewRequest(&quoratev1.OfflineReceiptRequest{})
		c.Authorize(req.Header())
		res, err := admin.OfflineReceipt(ctx, req)
		if err != nil {
			return err
		}
		f.Messages = res.Msg.GetReceipts()
		f.Group, err = license.ParseSerial(res.Msg.GetVirtual())
		return err
	})
	if err != nil {
		return err
	}
	return writeArmored(std.Out, c.Output, f)
}

// Apply installs an update file.
type Apply struct {
	placeFlags
	File    string `arg:"" help:"The update file, or - for standard input."`
	Receipt string `help:"Where to write the receipts: a file, or - for standard output." default:"-"`
}

// Help has the examples.
func (Apply) Help() string {
	return `A group's backends are updated one at a time, each while the other two carry the
licenses; programs keep their handles. Whatever interrupts it: apply the same file
again, and it goes on where it was. A file that is refused changes nothing.

Time certificates in the file set the containers' clocks right, before the updates. One
that is stale is told as a warning, and keeps no update away.

Examples:
  quorate apply one.lupd --container container.qrc --receipt one.lrcp
  quorate apply group.lupd --server http://127.0.0.1:7400 --receipt group.lrcp`
}

// Run installs what the file holds and writes the receipts.
func (c *Apply) Run(ctx context.Context, std cli.Streams, at Site) error {
	if err := c.check(); err != nil {
		return err
	}
	f, err := ReadArmored(std.In, c.File)
	if err != nil {
		return err
	}
	if f.Kind != armor.Update {
		return license.Errorf(license.CodeInvalidInput, "apply the update file that the platform gave", "%s is a %s file, not an update", c.File, f.Kind)
	}
	// The receipts need a place to go before anything changes.
	parts, err := armor.Parts(f)
	if err != nil {
		return err
	}
	updates, _ := armor.Split(parts)
	if len(updates) > 0 {
		if err := Writable(c.Receipt, armor.Receipt); err != nil {
			return err
		}
	}
	receipts := armor.File{Kind: armor.Receipt, Group: f.Group}
	if c.Container != "" {
		err = c.withContainer(at, func(held *container.Container) (err error) {
			receipts.Messages, err = offline.ApplyTo(held, f, func(s offline.Step) { fmt.Fprintln(std.Err, s.Message) })
			return err
		})
	} else {
		receipts.Messages, err = c.applyToGroup(ctx, std.Err, f)
	}
	if err != nil || len(updates) == 0 {
		return err // the time alone gives no receipts
	}
	return writeArmored(std.Out, c.Receipt, receipts)
}

func (c *Apply) applyToGroup(ctx context.Context, progress io.Writer, f armor.File) ([][]byte, error) {
	if f.Group.IsZero() {
		return nil, license.Errorf(license.CodeInvalidInput, "apply it with --container FILE on the machine of that container, or get the group's file from the platform",
			"the file is for one container, not for a TMR group")
	}
	var receipts [][]byte
	err := c.onActive(func(admin quoratev1connect.AdminServiceClient) (err error) {
		receipts, err = c.follow(ctx, admin, progress, f)
		return err
	})
	return receipts, err
}

// follow shows the progress of an apply, and gives its receipts.
func (c *Apply) follow(ctx context.Context, admin quoratev1connect.AdminServiceClient, progress io.Writer, f armor.File) ([][]byte, error) {
	req := connect.NewRequest(&quoratev1.OfflineApplyRequest{Virtual: f.Group.String(), Updates: f.Messages})
	c.Authorize(req.Header())
	stream, err := admin.OfflineApply(ctx, req)
	if err != nil {
		return nil, rpc.FromError(err)
	}
	defer stream.Close()
	for stream.Receive() {
		m := stream.Msg()
		where := "group"
		if m.GetPosition() != 0 {
			where = fmt.Sprintf("backend %d", m.GetPosition())
		}
		fmt.Fprintf(progress, "%s: %s [%s]\n", where, cli.Printable(m.GetMessage()), m.GetStatus())
		if m.GetStep() == string(offline.Done) {
			return m.GetReceipts(), nil
		}
	}
	if err := stream.Err(); err != nil {
		return nil, rpc.FromError(err)
	}
	return nil, license.Errorf(license.CodeUnavailable, "apply the file again: it goes on where it was", "the TMR server ended before the update was installed everywhere")
}

// ReadArmored reads a request, an update or a receipt. A bare fingerprint, the
// line of Base64 that container create writes, counts as a request.
func ReadArmored(in io.Reader, path string) (armor.File, error) {
	b, err := readBounded(in, path)
	if err != nil {
		return armor.File{}, err
	}
	return parseFile(b)
}

func readBounded(in io.Reader, path string) ([]byte, error) {
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, &license.Error{Code: license.CodeNotFound, Message: fmt.Sprintf("%s can't be read", path), Fix: "check the path and its permissions", Err: err}
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, armor.MostText+1))
	if err != nil {
		return nil, &license.Error{Code: license.CodeUnavailable, Message: fmt.Sprintf("%s can't be read", path), Fix: "check that it is a file", Err: err}
	}
	return b, nil
}

func parseFile(b []byte) (armor.File, error) {
	f, err := armor.Parse(b)
	if license.CodeOf(err) != license.CodeFormatUnknown {
		return f, err
	}
	bare, notBase64 := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(b)))
	if notBase64 != nil || len(bare) == 0 {
		return f, err
	}
	if _, err := seal.OpenFingerprint(bare); err != nil {
		return armor.File{}, err
	}
	return armor.File{Kind: armor.Request, Messages: [][]byte{bare}}, nil
}

// Writable refuses at once what WriteText would refuse when all work is done.
// A file is replaced only by one of its kind, since a mistaken path may be that
// of a container, or of the file that is read.
func Writable(path string, kind armor.Kind) error {
	if path == "-" {
		return nil
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		if dir := filepath.Dir(path); !cli.Exists(dir) {
			return license.Errorf(license.CodeNotFound, "create it, or choose another path", "there is no folder %s", dir)
		}
		return nil
	case info.IsDir():
		return license.Errorf(license.CodeInvalidInput, "name a file in it", "%s is a folder", path)
	case !info.Mode().IsRegular() || info.Size() == 0:
		return nil
	}
	if there, err := kindAt(path); err != nil || there != kind {
		return license.Errorf(license.CodeConflict, "choose another name, or remove that file", "the file %s is there already, and is no %s file", path, kind)
	}
	return nil
}

// kindAt tells by its beginning what a file is.
func kindAt(path string) (armor.Kind, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	head, err := io.ReadAll(io.LimitReader(f, 1<<10))
	if err != nil {
		return "", err
	}
	return armor.KindOf(head)
}

func writeArmored(out io.Writer, path string, f armor.File) error {
	text, err := armor.Encode(f)
	if err != nil {
		return err
	}
	return WriteText(out, path, f.Kind, text)
}

// WriteText writes a file whole or not at all.
func WriteText(out io.Writer, path string, kind armor.Kind, text []byte) error {
	if path == "-" {
		_, err := out.Write(text)
		return err
	}
	if err := Writable(path, kind); err != nil {
		return err
	}
	if err := replace(path, text); err != nil {
		return &license.Error{Code: license.CodeUnavailable, Message: fmt.Sprintf("%s can't be written: %v", path, cli.Cause(err)), Fix: "check the folder's permissions and the free space, or choose another path", Err: err}
	}
	return nil
}

func replace(path string, text []byte) error {
	const mode = 0o644 // made to be handed on, and holds no secret in the clear
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target // what a link points to is replaced, not the link
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return os.WriteFile(path, text, mode) // a pipe or a device
	}
	f, err := durable.NewFile(path, mode)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(text); err != nil {
		return err
	}
	return f.Commit(true)
}
