package filetools

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"github.com/quorate/quorate/cmd/quorate/internal/cli"
	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

// Inspect tells what a file is.
type Inspect struct {
	File    string `arg:"" help:"The request, update or receipt file, or - for standard input."`
	Root    string `help:"The platform's root key, as it is shown at /root-key: with it updates and requests are checked fully."`
	Request string `help:"A request file of the same containers: with it receipts are checked, and whether an update or a time certificate is for them."`
	JSON    bool   `help:"Write JSON." name:"json"`
}

// Help has the examples.
func (Inspect) Help() string {
	return `A file that was altered is refused. Exit status 1 when a signature doesn't hold.

Examples:
  quorate inspect group.lupd
  quorate inspect group.lupd --root $(curl -s https://licenses.example.com/root-key) --json
  quorate inspect group.lrcp --request group.lreq
  quorate inspect one.lreq     # as quorate container create or request wrote it`
}

type inspectedFile struct {
	Kind  armor.Kind      `json:"kind"`
	Group string          `json:"group,omitempty"`
	Parts []inspectedPart `json:"parts"`
}

type inspectedPart struct {
	Container string          `json:"container"`
	At        *time.Time      `json:"at,omitempty"`
	Firms     []inspectedFirm `json:"firms"`
	// Of a request; Trail counts the container's fingerprints.
	Licenses []inspectedLicense `json:"licenses,omitempty"`
	Clock    *inspectedClock    `json:"clock,omitempty"`
	Trail    uint64             `json:"trail,omitempty"`
	Meters   []inspectedMeter   `json:"meters,omitempty"`
	// Time is what a time certificate vouches for.
	Time     string `json:"time,omitempty"`
	Identity string `json:"identity,omitempty"`
	// Signature: "valid", "invalid", "unchecked", or "self-consistent": made
	// by the key in the file, of which nobody knows yet whose it is.
	Signature string `json:"signature"`
	Note      string `json:"note"`
}

type inspectedFirm struct {
	Firm   license.FirmCode `json:"firm"`
	Number uint64           `json:"number"`
	Digest string           `json:"digest,omitempty"`
}

const (
	signatureValid     = "valid"
	signatureInvalid   = "invalid"
	signatureOwn       = "self-consistent"
	signatureUnchecked = "unchecked"
)

// Run reads the file and tells what it is. What does not hold is an exit status.
func (c *Inspect) Run(std cli.Streams) error {
	if c.File == "-" && c.Request == "-" {
		return license.Errorf(license.CodeInvalidInput, "give one of them as a file", "standard input can be read once, not as the file and as the request")
	}
	f, err := ReadArmored(std.In, c.File)
	if err != nil {
		return err
	}
	parts, err := armor.Parts(f)
	if err != nil {
		return err
	}
	var root ed25519.PublicKey
	if c.Root != "" {
		if root, err = parseRoot(c.Root); err != nil {
			return err
		}
	}
	known := map[license.Serial]seal.Fingerprint{}
	if c.Request != "" {
		if known, err = knownContainers(std.In, c.Request); err != nil {
			return err
		}
	}
	out := inspectedFile{Kind: f.Kind}
	if !f.Group.IsZero() {
		out.Group = f.Group.String()
	}
	bad := false
	for _, p := range parts {
		i := inspectPart(p, root, known)
		bad = bad || i.Signature == signatureInvalid
		out.Parts = append(out.Parts, i)
	}
	if c.JSON {
		err = cli.WriteJSON(std.Out, out)
	} else {
		err = printInspected(std.Out, out)
	}
	if err == nil && bad {
		err = cli.ExitStatus(cli.ExitFailure)
	}
	return err
}

func knownContainers(in io.Reader, path string) (map[license.Serial]seal.Fingerprint, error) {
	f, err := ReadArmored(in, path)
	if err != nil {
		return nil, err
	}
	if f.Kind != armor.Request {
		return nil, license.Errorf(license.CodeInvalidInput, "give the request that quorate request wrote", "%s is a %s file, not a request", path, f.Kind)
	}
	parts, err := armor.Parts(f)
	known := map[license.Serial]seal.Fingerprint{}
	for _, p := range parts {
		known[p.Serial] = *p.Request
	}
	return known, err
}

func inspectPart(p armor.Part, root ed25519.PublicKey, known map[license.Serial]seal.Fingerprint) inspectedPart {
	out := inspectedPart{Container: p.Serial.String(), Firms: []inspectedFirm{}}
	if !p.At.IsZero() {
		out.At = &p.At
	}
	from, isKnown := known[p.Serial]
	switch {
	case p.Request != nil:
		for _, s := range p.Request.Firms {
			out.Firms = append(out.Firms, inspectedFirm{s.Firm, s.Counter, digestText(s.Digest)})
		}
		for _, l := range p.Request.Licenses {
			out.Licenses = append(out.Licenses, inspectLicense(l))
		}
		if k := p.Request.Clock; !k.Highest.IsZero() || !k.Certified.IsZero() {
			out.Clock = &inspectedClock{instant(k.Highest), instant(k.Certified)}
		}
		if n := len(p.Request.Trail); n > 0 {
			out.Trail = p.Request.Trail[n-1].Count
		}
		for _, m := range p.Request.Meters {
			out.Meters = append(out.Meters, inspectMeter(m))
		}
		digest := p.Request.Identity.Digest()
		out.Identity = hex.EncodeToString(digest[:])
		out.Signature, out.Note = signatureOwn, "signed by the identity in it; the platform compares that with the recorded one"
		switch {
		case isKnown && !from.Identity.Equal(p.Request.Identity):
			out.Signature, out.Note = signatureInvalid, "another identity than in the request given"
		case root != nil && !root.Equal(p.Request.Root):
			out.Signature, out.Note = signatureInvalid, "the container was created under another platform"
		case root != nil:
			out.Note = "signed by the identity in it, under this platform's root key"
		}
	case p.Update != nil:
		h := p.Update.Header
		out.Firms = append(out.Firms, inspectedFirm{h.Firm, h.Number, digestText(p.Update.Digest)})
		out.Identity = hex.EncodeToString(h.Identity[:])
		out.Signature, out.Note = signatureOwn, "signed by the firm key in it; with --root it is checked whose that is"
		if root != nil {
			out.Signature, out.Note = signatureValid, "signed by the firm, for which the root key vouches"
			if _, err := seal.VerifyUpdate(p.Message, root); err != nil {
				out.Signature, out.Note = signatureInvalid, err.Error()
			}
		}
		if isKnown && out.Signature != signatureInvalid {
			out.Note += "; " + fits(h, p.Update.Digest, from)
		}
	case p.Time != nil:
		out.At, out.Time = nil, instant(p.Time.At)
		out.Signature, out.Note = signatureUnchecked, "give the root key with --root to check it"
		if root != nil {
			out.Signature, out.Note = signatureValid, "signed with the root key"
			if _, err := seal.OpenTime(p.Message, root); err != nil {
				out.Signature, out.Note = signatureInvalid, "not signed with this root key"
			}
		}
		switch {
		case isKnown && from.TimeNonce == p.Time.Nonce:
			out.Note += "; it answers the request"
		case isKnown:
			out.Note += "; it answers another request"
		}
	default:
		r := p.Receipt
		out.Firms = append(out.Firms, inspectedFirm{r.Firm, r.Number, digestText(r.Update)})
		out.Signature, out.Note = signatureUnchecked, "give a request of the same container with --request to check it"
		if isKnown {
			out.Signature, out.Note = signatureValid, "signed by the container of the request given"
			if _, err := seal.OpenReceipt(p.Message, from.Identity.Sign); err != nil {
				out.Signature, out.Note = signatureInvalid, "not signed by the container of the request given"
			}
		}
	}
	return out
}

// fits says how an update stands to what its container last asked with.
func fits(h seal.UpdateHeader, digest [32]byte, f seal.Fingerprint) string {
	if h.Identity != f.Identity.Digest() {
		return "it is for another container of this serial number"
	}
	var at seal.FirmState
	for _, s := range f.Firms {
		if s.Firm == h.Firm {
			at = s
		}
	}
	switch {
	case h.Number == at.Counter && digest == at.Digest:
		return "it was installed when the request was made"
	case h.Number == at.Counter:
		return "another update of this number is installed"
	case h.Number < at.Counter:
		return fmt.Sprintf("it is stale: number %d was installed when the request was made", at.Counter)
	case h.Number == at.Counter+1 && bytes.Equal(h.Previous[:], at.Digest[:]):
		return "it is the next one after the request"
	case h.Number == at.Counter+1:
		return "it follows another update than the one installed"
	}
	return fmt.Sprintf("updates %d to %d come before it", at.Counter+1, h.Number-1)
}

func digestText(d [32]byte) string {
	if d == ([32]byte{}) {
		return ""
	}
	return hex.EncodeToString(d[:])
}

func printInspected(w io.Writer, f inspectedFile) error {
	what := map[armor.Kind]string{armor.Request: "License request", armor.Update: "Update", armor.Receipt: "Receipt"}[f.Kind]
	if f.Group != "" {
		what += " of the TMR group " + f.Group
	}
	fmt.Fprintln(w, what)
	for _, p := range f.Parts {
		fmt.Fprintf(w, "  %s", p.Container)
		if p.At != nil {
			fmt.Fprintf(w, ", %s", p.At.UTC().Format(time.RFC3339))
		}
		fmt.Fprintln(w)
		if len(p.Firms) == 0 && p.Time == "" {
			fmt.Fprintln(w, "    no update installed")
		}
		for _, s := range p.Firms {
			fmt.Fprintf(w, "    firm %d, update number %d\n", s.Firm, s.Number)
		}
		for _, l := range p.Licenses {
			printLicense(w, l)
		}
		printState(w, p)
		if _, err := fmt.Fprintf(w, "    signature %s: %s\n", p.Signature, p.Note); err != nil {
			return err
		}
	}
	return nil
}
