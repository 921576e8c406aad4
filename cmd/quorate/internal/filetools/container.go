package filetools

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/container"
	"github.com/quorate/quorate/internal/license"
)

// ContainerCreate makes a container's file.
type ContainerCreate struct {
	File         string `arg:"" help:"The container's file; it must not exist."`
	Serial       string `required:"" help:"Serial number, for example 130-1874829."`
	Root         string `required:"" help:"The platform's root key, as it is shown at /root-key."`
	Bind         string `help:"What the file opens with: machine (two of three traits of this one), file:PATH (a key file, made here, best on a medium that can be taken away), none (it opens wherever it is copied to: for virtual machines that move, and for Linux containers). Left out: machine for 128 to 130, none for 140; 1 to 3 need a file." placeholder:"machine|file:PATH|none"`
	ActivationID string `help:"32 hexadecimal digits, the same for the three containers of a TMR group; made up when left out."`
	Fingerprint  string `help:"Where to write the fingerprint: a file, or - for standard output." default:"-"`
}

// Help has the examples.
func (ContainerCreate) Help() string {
	return `A machine is known by its system id, its hardware id and a network card. When one of
them changes, the container still opens, and is bound to what there is then. Create it
as the user that the server runs as: most systems let root alone read the hardware id.

Examples:
  quorate container create /var/lib/quorate/container.qrc --serial 130-1874829 \
      --root $(curl -s https://licenses.example.com/root-key) \
      --activation-id 00112233445566778899aabbccddeeff --fingerprint one.lreq
  quorate container create container.qrc --serial 3-1874829 --root … \
      --bind file:/media/stick/quorate.key`
}

// Run creates the container and writes its first fingerprint.
func (c *ContainerCreate) Run(std cli.Streams, at Site) error {
	serial, err := license.ParseSerial(c.Serial)
	if err != nil {
		return err
	}
	root, err := parseRoot(c.Root)
	if err != nil {
		return err
	}
	var activation [16]byte
	if c.ActivationID == "" {
		_, err = rand.Read(activation[:])
	} else {
		activation, err = ParseActivationID(c.ActivationID)
	}
	if err != nil {
		return err
	}
	held, err := c.createContainer(container.Params{Serial: serial, Root: root, ActivationID: activation}, at)
	if err != nil {
		return err
	}
	defer held.Close()
	nonce := make([]byte, 32)
	if _, err := rand.Read(nonce); err != nil {
		return err
	}
	fingerprint, err := held.Fingerprint(nonce)
	if err != nil {
		return err
	}
	text := base64.StdEncoding.EncodeToString(fingerprint) + "\n"
	if c.Fingerprint == "-" {
		_, err = io.WriteString(std.Out, text)
		return err
	}
	if err := os.WriteFile(c.Fingerprint, []byte(text), 0o644); err != nil {
		return &license.Error{
			Code: license.CodeUnavailable, Err: err, Message: fmt.Sprintf("the fingerprint can't be written to %s", c.Fingerprint),
			Fix: fmt.Sprintf("remove the container %s, which nobody knows yet, and create it with another --fingerprint", c.File),
		}
	}
	return nil
}

// createContainer makes a container only if its fingerprint has a place to go:
// a container that nobody can know is of no use.
func (c *ContainerCreate) createContainer(p container.Params, at Site) (*container.Container, error) {
	var keyFile string
	var err error
	if p.Bind, keyFile, err = parseBind(c.Bind, p.Serial.Kind()); err != nil {
		return nil, err
	}
	for _, path := range []string{c.File, c.Fingerprint} {
		if dir := filepath.Dir(path); !cli.Exists(dir) {
			return nil, license.Errorf(license.CodeNotFound, "create it, or choose another path", "there is no folder %s", dir)
		}
	}
	if c.Fingerprint != "-" && (cli.Exists(c.Fingerprint) || same(c.Fingerprint, c.File) || same(c.Fingerprint, keyFile)) {
		return nil, license.Errorf(license.CodeConflict, "choose another --fingerprint, or move that file away", "%s is there already", c.Fingerprint)
	}
	if same(c.File, keyFile) {
		return nil, license.Errorf(license.CodeInvalidInput, "choose another path with --bind", "the key file can't be the container's file")
	}
	return container.Create(c.File, p, container.WithTraits(at.machine), container.WithKeyFile(keyFile))
}

// same says whether two paths, of files that may not be there yet, are one.
func same(a, b string) bool {
	a, errA := filepath.Abs(a)
	b, errB := filepath.Abs(b)
	return errA == nil && errB == nil && a == b
}

// parseBind reads --bind, whose default is a matter of the kind.
func parseBind(s string, kind license.Kind) (to container.Bind, keyFile string, err error) {
	switch path, file := strings.CutPrefix(s, "file:"); {
	case file && path != "":
		return container.BindFile, path, nil
	case s == "machine", s == "" && (kind == license.KindComputer || kind == license.KindUniversal):
		return container.BindMachine, "", nil
	case s == "none", s == "": // which a dongle may not be
		return container.BindNone, "", nil
	}
	return 0, "", license.Errorf(license.CodeInvalidInput, "give machine, file:PATH or none", "%q is nothing that a container can be bound to", s)
}

func parseRoot(s string) (ed25519.PublicKey, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != ed25519.PublicKeySize {
		return nil, license.Errorf(license.CodeInvalidInput, "copy it from the platform's /root-key: 44 characters of Base64", "that is not a root key")
	}
	return b, nil
}

// ParseActivationID reads the id that the containers of a TMR group share.
func ParseActivationID(s string) (id [16]byte, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(id) {
		return id, license.Errorf(license.CodeInvalidInput, "give 32 hexadecimal digits", "%q is not an activation id", s)
	}
	return [16]byte(b), nil
}

// ContainerShow shows what a container's file holds.
type ContainerShow struct {
	BindFlags
	File string `arg:"" help:"The container's file. A server that runs has it open: stop it first."`
	JSON bool   `help:"Write JSON." name:"json"`
}

type containerView struct {
	Serial       string        `json:"serial"`
	ActivationID string        `json:"activationId"`
	Bind         string        `json:"bind"` // as --bind has it
	Clock        shownClock    `json:"clock"`
	Licenses     []heldLicense `json:"licenses"`
}

type shownClock struct {
	Now       string `json:"now"` // set back: the highest time seen
	SetBack   bool   `json:"setBack,omitempty"`
	Certified string `json:"certified,omitempty"`
}

// heldLicense is a license with what was used of it.
type heldLicense struct {
	inspectedLicense
	FirstUse  string `json:"firstUse,omitempty"`
	UnitsUsed uint64 `json:"unitsUsed,omitempty"`
}

func viewContainer(c *container.Container) containerView {
	id, now := c.ActivationID(), c.Moment()
	v := containerView{
		Serial: c.Serial().String(), ActivationID: hex.EncodeToString(id[:]), Bind: boundTo(c), Licenses: []heldLicense{},
		Clock: shownClock{Now: instant(now.At), SetBack: now.SetBack, Certified: instant(now.Certified)},
	}
	_, held := c.Licenses()
	for _, h := range held {
		used := c.Use(h.Product)
		v.Licenses = append(v.Licenses, heldLicense{inspectLicense(h), instant(used.First), used.Units})
	}
	return v
}

// Help has the examples.
func (ContainerShow) Help() string {
	return `Example:
  quorate container show /var/lib/quorate/container.qrc --json`
}

// Run opens the container and shows it.
func (c *ContainerShow) Run(std cli.Streams, at Site) error {
	held, err := at.Open(c.File, c.BindFlags)
	if err != nil {
		return err
	}
	defer held.Close()
	view := viewContainer(held)
	if c.JSON {
		return cli.WriteJSON(std.Out, view)
	}
	fmt.Fprintf(std.Out, "%s, activation id %s, bound to: %s\n", view.Serial, view.ActivationID, view.Bind)
	if view.Clock.SetBack {
		fmt.Fprintf(std.Out, "the clock was set back: it showed %s before\n", view.Clock.Now)
	}
	if len(view.Licenses) == 0 {
		fmt.Fprintln(std.Out, "no licenses yet")
	}
	for _, l := range view.Licenses {
		printLicense(std.Out, l.inspectedLicense)
		if l.FirstUse != "" {
			fmt.Fprintf(std.Out, "      first used at %s\n", l.FirstUse)
		}
		if l.Units != nil {
			fmt.Fprintf(std.Out, "      %d units used\n", l.UnitsUsed)
		}
	}
	return nil
}
