package usage

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// logFormat names the format in every line, so that no other text has its hash.
const logFormat = "quorate-usage-1"

// MostLine bounds a line of the log, its hash included.
const MostLine = 4096

// Hash chains entries: that of an entry is the SHA-256 of its line.
type Hash [sha256.Size]byte

func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// Entry is one entry of a firm's usage log. It names nobody: who had a handle is
// in the allocations, as far as the customer shows it.
type Entry struct {
	Log      string             `json:"log"`
	Firm     uint32             `json:"firm"`
	Number   uint64             `json:"number"`   // counts by one
	Previous string             `json:"previous"` // hash of the entry before; of the first: zeros
	Source   string             `json:"source"`   // serial number of the container
	Seq      uint64             `json:"seq"`      // the source's own count of the firm's events; 0: it doesn't count
	Position uint64             `json:"position"` // in the source's event stream
	AtMs     int64              `json:"atMs"`     // Unix milliseconds by the source's clock
	Kind     Kind               `json:"kind"`
	Product  uint32             `json:"product"`
	Handle   string             `json:"handle"`
	Mode     license.AccessMode `json:"mode"`
	Licenses uint32             `json:"licenses"`
	Seat     uint32             `json:"seat"`
	N        uint64             `json:"n"`
	Reason   string             `json:"reason"` // code of a denial
}

// At is when it happened, by the source's clock.
func (e Entry) At() time.Time { return time.UnixMilli(e.AtMs).UTC() }

// Chain appends entries after a number and its hash.
type Chain struct {
	Number uint64
	Hash   Hash
}

// Append gives the line of an entry, which goes on the chain. Its texts are cut
// to what a line takes.
func (c *Chain) Append(e Entry) (line string, err error) {
	e.Log, e.Number, e.Previous = logFormat, c.Number+1, c.Hash.String()
	e.Source, e.Kind, e.Mode = text(e.Source, 32), Kind(text(string(e.Kind), 32)), license.AccessMode(text(string(e.Mode), 32))
	e.Handle, e.Reason = text(e.Handle, 200), text(e.Reason, 64)
	b, err := json.Marshal(e)
	if err != nil {
		return "", err
	}
	c.Number, c.Hash = e.Number, sha256.Sum256(b)
	return string(b), nil
}

// text makes a foreign text one of at most so many bytes that JSON repeats as it
// is.
func text(s string, most int) string {
	return license.Clip(strings.ReplaceAll(s, "\x00", ""), most)
}

// WriteLine writes an entry as a file has it: its hash in hexadecimal, a space,
// its line. `printf %s LINE | sha256sum` gives the hash.
func WriteLine(w io.Writer, h Hash, line string) error {
	_, err := io.WriteString(w, h.String()+" "+line+"\n")
	return err
}

// ParseLine reads a line of a file and checks that it has its hash.
func ParseLine(line []byte) (Hash, Entry, error) {
	var h Hash
	var e Entry
	if len(line) > MostLine {
		return h, e, errors.New("the line is too long")
	}
	text, body, ok := bytes.Cut(line, []byte(" "))
	if !ok || len(text) != 2*len(h) {
		return h, e, errors.New("the line doesn't begin with a hash")
	}
	if _, err := hex.Decode(h[:], text); err != nil || string(text) != h.String() {
		return h, e, errors.New("the hash is not hexadecimal in small letters")
	}
	if sha256.Sum256(body) != h {
		return h, e, errors.New("the line is not what its hash was made of")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil || e.Log != logFormat {
		return h, e, errors.New("the line is no entry of this format")
	}
	if again, err := json.Marshal(e); err != nil || !bytes.Equal(again, body) {
		return h, e, errors.New("the line is not in the form that entries have")
	}
	return h, e, nil
}
