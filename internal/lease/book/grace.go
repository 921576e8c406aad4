package book

import "github.com/quorate/quorate/internal/license"

// Grace begins or ends a time in which what was loaded may lack seats that are
// held, or have some that are over. Only tokens count then: no access is
// granted, not even as a repeat, and a token with a newer n than its seat's ends
// whoever has the seat, who must have lost it before.
func (b *Book) Grace(on bool) { b.grace = on }

// InGrace says whether such a time is on.
func (b *Book) InGrace() bool { return b.grace }

func waits(group license.Serial) error {
	return &license.Error{
		Code:    license.CodeUnavailable,
		Message: "the seats of " + group.String() + " are found out anew: programs that hold a license keep it, others wait",
		Fix:     "try again in a minute",
	}
}
