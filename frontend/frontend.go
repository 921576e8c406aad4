// Package frontend holds the built dashboard.
package frontend

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// Files returns the built dashboard: index.html, assets/ and what public/
// holds. It is empty but for .gitkeep when the dashboard was not built.
//
// index.html carries the placeholder __CSP_NONCE__, which the server replaces
// with a fresh nonce on each request. Files under assets/ have a content hash
// in their names and never change.
func Files() fs.FS {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // dist is a valid path, which is all that Sub asks
	}
	return files
}
