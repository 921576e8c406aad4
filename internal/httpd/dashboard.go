package httpd

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// noncePlaceholder stands in index.html where each answer's nonce goes.
const noncePlaceholder = "__CSP_NONCE__"

// hashedFolder holds the files whose names change with their content.
const hashedFolder = "assets/"

const notBuilt = `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Quorate</title>
<h1>The dashboard is not built</h1>
<p>This program was built without its dashboard. Run <code>make build</code> and start it again.</p>
<p>The API is at <code>/graphql</code>.</p>
</html>
`

type dashboard struct {
	index []byte // nil: not built
	files map[string]file
}

type file struct {
	body, gzipped []byte // gzipped is nil where it saves nothing
	mime, etag    string
	immutable     bool
}

// newDashboard reads all files into memory: there are few, and they do not
// change while the program runs.
func newDashboard(files fs.FS) (http.Handler, error) {
	d := &dashboard{files: map[string]file{}}
	if files == nil {
		return d, nil
	}
	var err error
	if d.index, err = fs.ReadFile(files, "index.html"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	err = fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || name == "index.html" || strings.HasPrefix(path.Base(name), ".") {
			return err
		}
		body, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(body)
		f := file{
			body: body, immutable: strings.HasPrefix(name, hashedFolder),
			mime: mime.TypeByExtension(path.Ext(name)),
			etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`,
		}
		if f.mime == "" {
			f.mime = "application/octet-stream"
		}
		if f.gzipped, err = compress(body, f.mime); err != nil {
			return err
		}
		d.files[name] = f
		return nil
	})
	return d, err
}

func compress(body []byte, mime string) ([]byte, error) {
	if strings.HasPrefix(mime, "font/") || (strings.HasPrefix(mime, "image/") && !strings.Contains(mime, "svg")) {
		return nil, nil
	}
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(body); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if b.Len() >= len(body) {
		return nil, nil
	}
	return b.Bytes(), nil
}

func (d *dashboard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		writeError(w, &statusError{http.StatusMethodNotAllowed,
			license.Errorf(license.CodeInvalidInput, "use GET", "pages can only be read")})
		return
	}
	name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
	if f, ok := d.files[name]; ok {
		f.serve(w, r)
		return
	}
	if path.Ext(name) != "" && name != "index.html" {
		plain(w, http.StatusNotFound, "not found\n")
		return
	}
	d.page(w, r)
}

// page answers with index.html for every address that the dashboard's own
// router knows about. It is never stored, since it carries the nonce.
func (d *dashboard) page(w http.ResponseWriter, r *http.Request) {
	nonce := rand.Text()
	body, status := []byte(notBuilt), http.StatusServiceUnavailable
	if d.index != nil {
		body, status = bytes.ReplaceAll(d.index, []byte(noncePlaceholder), []byte(nonce)), http.StatusOK
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", strings.Join([]string{
		"default-src 'none'",
		"script-src 'self' 'nonce-" + nonce + "'",
		"style-src 'self' 'nonce-" + nonce + "'",
		"img-src 'self' data:",
		"font-src 'self'",
		"connect-src 'self'",
		"manifest-src 'self'",
		"base-uri 'none'",
		"form-action 'self'",
		"frame-ancestors 'none'",
	}, "; "))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}

func (f file) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.mime)
	h.Set("Vary", "Accept-Encoding")
	h.Set("ETag", f.etag)
	h.Set("Cache-Control", "no-cache")
	if f.immutable {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	body := f.body
	if f.gzipped != nil && acceptsGzip(r) {
		h.Set("Content-Encoding", "gzip")
		h.Set("ETag", "W/"+f.etag)
		body = f.gzipped
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

func acceptsGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, q, _ := strings.Cut(strings.TrimSpace(part), ";")
		if name == "gzip" && strings.ReplaceAll(q, " ", "") != "q=0" {
			return true
		}
	}
	return false
}
