package accounts

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/ratelimit"
)

// Failed sign-ins: after freeTries the next is possible only after a pause that
// doubles up to mostPause.
const (
	freeTries = 5
	mostPause = time.Minute
)

// throttle slows down guessing of passwords per account, at all replicas
// together.
type throttle struct{ limits ratelimit.Limiter }

// allow refuses a try with license.CodeThrottled while the account's pause
// lasts, else it counts the try as failed until succeeded is called: tries
// that run at the same time count too.
func (t throttle) allow(ctx context.Context, account string) error {
	wait, err := t.limits.Try(ctx, t.key(account), ratelimit.Pauses{Free: freeTries, First: time.Second, Most: mostPause})
	if err != nil || wait == 0 {
		return err
	}
	return ratelimit.Throttled(wait, fmt.Sprintf("wait %d s and try again", ratelimit.Seconds(wait)), "too many failed sign-ins for this account")
}

func (t throttle) succeeded(ctx context.Context, account string) error {
	return t.limits.Forget(ctx, t.key(account))
}

// key is what an account is counted by: addresses of people are kept in no Redis.
func (throttle) key(account string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(account)))
	return "sign-in:" + hex.EncodeToString(sum[:16])
}
