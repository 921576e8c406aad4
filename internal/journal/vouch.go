package journal

import (
	"context"

	"github.com/quorate/quorate/internal/license"
)

// Above says whether a seat has got something newer than a record that was made
// or confirmed under an epoch: for who doesn't lead, or is in doubt. Two journals
// that vote must show none; with fewer there is no answer
// (license.CodeUnavailable). What is of an older epoch than the record's is not
// newer.
func Above(ctx context.Context, backends [license.Backends]Backend, k Key, epoch, n uint64) (bool, error) {
	type answer struct {
		newer bool
		err   error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan answer, license.Backends)
	for _, b := range backends {
		go func() {
			s, err := b.Journal.State(ctx)
			if err == nil && !s.Voting {
				err = ErrUnpromised
			}
			if err != nil {
				answers <- answer{err: err}
				return
			}
			r, err := b.Journal.Seat(ctx, k)
			answers <- answer{r.Epoch >= epoch && r.N > n, err}
		}()
	}
	agreed := 0
	var failed error
	for range license.Backends {
		switch a := <-answers; {
		case a.err != nil:
			failed = a.err
		case a.newer:
			return true, nil
		default:
			if agreed++; agreed == license.Majority {
				return false, nil
			}
		}
	}
	return false, noMajority(failed)
}
