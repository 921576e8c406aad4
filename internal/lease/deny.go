package lease

import (
	"context"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// DenialPause is how long denials are left out that are like one on record: of the
// same pool, holder, licenses, reason and rule, since the last claim. So a program
// that is refused in a loop pushes nothing else out of the stream.
const DenialPause = time.Minute

// Denier is a Seats that also puts on record what its caller refuses by itself:
// by the license's options, or by rules.
type Denier interface {
	// Deny writes a Denied event of a request with the reason, and with the rule
	// that refused, or "", unless one like it is on record (DenialPause). It
	// changes nothing else, and a place in the queue is
	// lost. Errors: CodeInvalidInput, and those of every method of Seats.
	Deny(ctx context.Context, r Request, reason license.Code, rule string) error
}

// CheckDeny says whether a denial may be put on record; all drivers refuse the
// same ones.
func CheckDeny(r Request, group license.Serial, reason license.Code, rule string) error {
	if err := r.Check(group); err != nil {
		return err
	}
	if reason == "" || len(reason) > MostTag {
		return license.Errorf(license.CodeInvalidInput, "name the code that the program got", "a denial needs a reason of at most %d bytes", MostTag)
	}
	return checkBounded("rule", rule)
}
