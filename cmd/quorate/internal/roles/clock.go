package roles

import (
	"context"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/link"
	"github.com/quorate/quorate/internal/tmr"
)

var _ link.Clock = groupClock{}

// groupClock is the time of a group's backends.
type groupClock struct{ *tmr.Group }

// TimeNonces implements link.Clock.
func (c groupClock) TimeNonces() map[license.Serial][16]byte {
	all := map[license.Serial][16]byte{}
	for _, n := range c.Group.TimeNonces() {
		all[n.Serial] = n.Nonce
	}
	return all
}

// Certify implements link.Clock: whose a certificate is the backends find out.
func (c groupClock) Certify(ctx context.Context, _ license.Serial, certificate []byte) error {
	return c.Group.Certify(ctx, [][]byte{certificate})
}
