package protect

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/quorate/quorate/internal/license"
)

const (
	intro = "age-encryption.org/v1\n"
	// lead is as much white space as age allows before an armored file.
	lead = 1024
	// mostLine bounds a line of an armored file, white space before it included.
	mostLine = lead + 2*64
	buffer   = 64 << 10
)

// Encrypt protects what is written to the writer that it gives, for any of the
// products. The file on dst is whole when Close has returned nil; dst stays
// open. With armored it is text.
func Encrypt(dst io.Writer, armored bool, to ...*Recipient) (io.WriteCloser, error) {
	w := &writer{out: bufio.NewWriterSize(dst, buffer)}
	var body io.Writer = w.out
	if armored {
		w.armor = armor.NewWriter(w.out)
		body = w.armor
	}
	recipients := make([]age.Recipient, len(to))
	for i, r := range to {
		recipients[i] = r
	}
	if len(to) == 0 {
		return nil, license.Errorf(license.CodeInvalidInput, "name a product", "nobody is there to open the file")
	}
	var err error
	w.WriteCloser, err = age.Encrypt(body, recipients...)
	if err != nil {
		return nil, err
	}
	return w, nil
}

type writer struct {
	io.WriteCloser
	armor io.WriteCloser
	out   *bufio.Writer
}

func (w *writer) Close() error {
	if err := w.WriteCloser.Close(); err != nil {
		return err
	}
	if w.armor != nil {
		if err := w.armor.Close(); err != nil {
			return err
		}
	}
	return w.out.Flush()
}

// Open opens a protected file, binary or armored, from its first byte. It reads
// the header, has id ask, and gives the content as it is read: each byte is
// authentic, and all are there at io.EOF.
//
// Errors, of Open and of the reader: license.CodeFormatUnknown when it is no
// such file or one of a later version, CodeDataDamaged when it was changed or
// cut off, CodeKeyRefused when it is for another product; those of id's Opener
// and of src as they are.
func Open(src io.Reader, id *Identity) (io.Reader, error) {
	watched := &source{r: src}
	f := &file{src: watched}
	in, err := unarmored(watched)
	if err != nil {
		return nil, f.explain(err)
	}
	ask := &asking{id: id}
	f.body, err = age.Decrypt(in, ask)
	switch {
	case err == nil:
		return f, nil
	case ask.err != nil:
		return nil, ask.err
	}
	return nil, f.explain(err)
}

// unarmored gives the age file itself.
func unarmored(src io.Reader) (*bufio.Reader, error) {
	in := bufio.NewReaderSize(src, buffer)
	head, err := in.Peek(lead + len(armor.Header))
	if bytes.HasPrefix(bytes.TrimSpace(head), []byte(armor.Header)) {
		in = bufio.NewReaderSize(armor.NewReader(&lines{r: in}), buffer)
		head, err = in.Peek(len(intro))
	}
	if bytes.HasPrefix(head, []byte(intro)) {
		return in, nil
	}
	var broken *armor.Error
	switch {
	case errors.As(err, &broken):
		return nil, err
	case err != nil && err != io.EOF:
		return nil, err
	case bytes.HasPrefix(head, []byte("age-encryption.org/")):
		return nil, license.Errorf(license.CodeFormatUnknown, "upgrade the software that reads it", "the protected file is of a later version")
	}
	return nil, license.Errorf(license.CodeFormatUnknown, "check which file you gave", "this is not a protected file")
}

// asking keeps the identity's own error apart from those of the file.
type asking struct {
	id  *Identity
	err error
}

func (a *asking) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	key, err := a.id.Unwrap(stanzas)
	a.err = err
	return key, err
}

// file reads the content and explains why it can't.
type file struct {
	src  *source
	body io.Reader
}

func (f *file) Read(p []byte) (int, error) {
	n, err := f.body.Read(p)
	if err != nil && err != io.EOF {
		err = f.explain(err)
	}
	return n, err
}

// explain gives the source's error if it has failed; else the file is at fault.
func (f *file) explain(err error) error {
	var coded *license.Error
	switch {
	case f.src.err != nil:
		return f.src.err
	case errors.As(err, &coded):
		return err
	}
	e := damaged("it was changed or cut off")
	e.Err = err
	return e
}

func damaged(what string) *license.Error {
	return license.Errorf(license.CodeDataDamaged, "get the file again", "the protected file is damaged: %s", what)
}

// source remembers why it failed.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// lines refuses lines that no armored file has, so that nobody has to hold one.
type lines struct {
	r   io.Reader
	run int // bytes since the last end of a line
}

func (l *lines) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	for i, line := range bytes.SplitAfter(p[:n], []byte("\n")) {
		if i > 0 {
			l.run = 0
		}
		if l.run += len(line); l.run > mostLine {
			return 0, errors.New("a line is too long")
		}
	}
	return n, err
}
