package documents

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/quorate/quorate/internal/license"
)

// The bounds of what may be registered.
const (
	mostRegistered     = 5_000
	mostRegisteredSize = 16 << 20 // of a manifest, or of all files of a folder
)

// Registered are the documents that an operator lets browsers execute. It doesn't
// change.
type Registered struct{ byDigest map[string]string }

// Load reads a manifest, {"<sha-256 in hex>": "<document>", …}, or a folder whose
// *.graphql files are one document each. Errors: license.CodeInvalidInput, also for
// a digest that isn't its document's.
func Load(path string) (*Registered, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	if info.IsDir() {
		return loadFolder(path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, mostRegisteredSize+1))
	if err != nil {
		return nil, unreadable(path, err)
	}
	r, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// Parse reads a manifest.
func Parse(text []byte) (*Registered, error) {
	if len(text) > mostRegisteredSize {
		return nil, invalid("register fewer documents", "the manifest has more than %d bytes", mostRegisteredSize)
	}
	r := &Registered{}
	if err := json.Unmarshal(text, &r.byDigest); err != nil || r.byDigest == nil {
		return nil, invalid(`write it as {"<sha-256 in hex>": "<document>", …}`, "the manifest is not a JSON object of documents by digest")
	}
	for digest, document := range r.byDigest {
		if want := Digest(document); digest != want {
			return nil, invalid("have the tool that made the manifest use SHA-256, in lower-case hex, of the documents as they are sent",
				"the document under %.64q has the digest %s", digest, want)
		}
	}
	return r, r.check()
}

func loadFolder(path string) (*Registered, error) {
	r, size := &Registered{byDigest: map[string]string{}}, int64(0)
	err := filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".graphql") {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if size += info.Size(); size > mostRegisteredSize {
			return invalid("register fewer documents", "the documents have more than %d bytes", mostRegisteredSize)
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		r.byDigest[Digest(string(text))] = string(text)
		return nil
	})
	if _, ok := errors.AsType[*license.Error](err); ok {
		return nil, err
	}
	if err != nil {
		return nil, unreadable(path, err)
	}
	return r, r.check()
}

func (r *Registered) check() error {
	switch n := len(r.byDigest); {
	case n == 0:
		return invalid("register the documents that the dashboard and your pages send", "no document is registered")
	case n > mostRegistered:
		return invalid("register fewer", "%d documents are registered of at most %d", n, mostRegistered)
	}
	return nil
}

// Union has the documents of all; error: license.CodeInvalidInput for too many.
func Union(all ...*Registered) (*Registered, error) {
	r := &Registered{byDigest: map[string]string{}}
	for _, one := range all {
		maps.Copy(r.byDigest, one.byDigest)
	}
	return r, r.check()
}

// Get gives a registered document.
func (r *Registered) Get(digest string) (string, bool) {
	text, ok := r.byDigest[digest]
	return text, ok
}

// All gives the registered documents by digest, in one order.
func (r *Registered) All(yield func(digest, document string) bool) {
	digests := make([]string, 0, len(r.byDigest))
	for d := range r.byDigest {
		digests = append(digests, d)
	}
	slices.Sort(digests)
	for _, d := range digests {
		if !yield(d, r.byDigest[d]) {
			return
		}
	}
}

func invalid(fix, format string, args ...any) error {
	return license.Errorf(license.CodeInvalidInput, fix, format, args...)
}

func unreadable(path string, err error) error {
	return &license.Error{Code: license.CodeInvalidInput, Err: err, Message: path + " can't be read: " + err.Error(),
		Fix: "name a JSON file of documents by digest, or a folder of *.graphql files"}
}
