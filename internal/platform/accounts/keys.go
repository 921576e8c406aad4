package accounts

import (
	"context"

	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/store"
)

// keysAtOnce bounds how many keys one transaction removes.
const keysAtOnce = 500

// PruneKeys removes idempotency keys that are older than core.KeyAge, in small
// transactions, and says how many. Only the platform itself calls it.
func (p *Service) PruneKeys(ctx context.Context) (removed int, err error) {
	ctx = core.System(ctx, "idempotency")
	for n := keysAtOnce; n >= keysAtOnce; removed += n {
		if err := p.core.Store.WithTx(ctx, func(tx *store.Tx) error {
			n, err = core.ForgetKeys(ctx, tx, keysAtOnce)
			return err
		}); err != nil {
			return removed, err
		}
	}
	return removed, nil
}
