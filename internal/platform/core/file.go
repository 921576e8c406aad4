package core

import (
	"fmt"

	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/license"
)

// ParseFile reads a file of one kind, and the parts of its messages.
func ParseFile(kind armor.Kind, text string) (armor.File, []armor.Part, error) {
	f, err := armor.Parse([]byte(text))
	if err != nil {
		return f, nil, err
	}
	if f.Kind != kind {
		return f, nil, license.Errorf(license.CodeInvalidInput, fmt.Sprintf("give the %s file", kind), "that is a %s file, not a %s", f.Kind, kind)
	}
	parts, err := armor.Parts(f)
	return f, parts, err
}
