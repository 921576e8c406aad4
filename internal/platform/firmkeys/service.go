// Package firmkeys has the signing keys of firms: their rotation, their files,
// and how everything that is sealed goes from one master key to another.
package firmkeys

import (
	"github.com/quorate/quorate/internal/platform/core"
)

// Service has the use cases. Safe for concurrent use.
type Service struct {
	core        *core.Core
	keyFileWork int // scrypt's cost for exported keys
}

// New makes a Service; keyFileWork is scrypt's cost for exported keys, as a
// power of two.
func New(c *core.Core, keyFileWork int) *Service {
	return &Service{core: c, keyFileWork: keyFileWork}
}
