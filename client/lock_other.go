//go:build !unix

package client

import "os"

// lockFile can't lock here: a license that one program borrowed isn't kept for
// another.
func lockFile(*os.File, bool) bool { return false }
