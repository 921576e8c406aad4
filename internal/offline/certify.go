package offline

import "github.com/quorate/quorate/internal/license"

func errNoTime() error {
	return license.Errorf(license.CodeInvalidInput, "upgrade the license server", "this license server takes no time certificates")
}
