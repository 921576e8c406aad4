package cli

import (
	"bytes"
	"fmt"
	"os"

	"github.com/quorate/quorate/internal/license"
)

const mostSecret = 4 << 10

// ReadSecretFile reads a secret, without white space around it, from a file
// that nobody but the owner may read.
func ReadSecretFile(path, what string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, &license.Error{Code: license.CodeNotFound, Message: fmt.Sprintf("the %s %s can't be read", what, path), Fix: "check the path and its permissions", Err: err}
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, license.Errorf(license.CodeInvalidInput, "chmod 600 it, or replace it if others had access", "the %s %s can be read by others", what, path)
	}
	if info.Size() == 0 || info.Size() > mostSecret {
		return nil, license.Errorf(license.CodeInvalidInput, "restore it from a backup", "the %s %s is damaged", what, path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return bytes.TrimSpace(b), nil
}
