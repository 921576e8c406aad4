//go:build !unix

package borrowed

import "os"

// Lock can't lock here: a license that one program borrowed isn't kept for
// another.
func Lock(*os.File, bool) bool { return false }
