package container

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"sync"

	bolt "go.etcd.io/bbolt"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

// Params are what a container is created with.
type Params struct {
	Serial       license.Serial
	Root         ed25519.PublicKey // of the platform that it will trust, for good
	ActivationID [16]byte          // the same for the three of a TMR group
	Identity     *seal.Identity    // nil: a new one
	Bind         Bind              // what it opens with, given by the options
}

// Container is an open container. Safe for concurrent use. Once a method that
// changes it returned nil, the change outlives a crash.
type Container struct {
	db *bolt.DB
	// update runs one durable transaction; tests make it fail.
	update func(func(*bolt.Tx) error) error

	write  sync.Mutex // one change at a time; guards nonce and failed
	nonce  nonce
	failed bool // a commit failed, so what the file holds is not known

	unlock  opener // both set by Open for good
	rebound []string

	mu       sync.Mutex // guards the rest
	time     timekeeper
	state    *state
	watchers map[chan struct{}]struct{}
	closed   bool
}

func (c *Container) current() *state {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// Serial gives the container's serial.
func (c *Container) Serial() license.Serial { return c.current().serial }

// ActivationID gives what the container was created with.
func (c *Container) ActivationID() [16]byte { return c.current().activation }

// Identity gives the public side of the container's identity.
func (c *Container) Identity() seal.PublicIdentity { return c.current().identity.Public() }

// Root gives the root key that the container trusts.
func (c *Container) Root() ed25519.PublicKey { return bytes.Clone(c.current().root[:]) }

// Licenses gives what the container holds, by product, and a version that
// counts up with each change, also over restarts. It is what the file held when
// it was last verified.
func (c *Container) Licenses() (version uint64, held []license.Held) {
	s := c.current()
	return s.version, s.held()
}

// License gives what the container holds of one product, as Licenses does.
func (c *Container) License(p license.Product) (license.Held, bool) {
	g, ok := c.current().licenses[p]
	return cloneHeld(g.License), ok
}

// Group gives the TMR group that the container is in; false when it is in none.
func (c *Container) Group() (seal.Group, bool) {
	s := c.current()
	if s.group == nil {
		return seal.Group{}, false
	}
	return cloneGroup(*s.group), true
}

func cloneGroup(g seal.Group) seal.Group {
	for i := range g.Members {
		g.Members[i].Key = bytes.Clone(g.Members[i].Key)
	}
	g.TokenKey = bytes.Clone(g.TokenKey)
	return g
}

// Statement signs what the file holds at this moment, over a nonce of 16 to 64
// bytes of who asks.
func (c *Container) Statement(nonce []byte) ([]byte, error) {
	s, err := c.load()
	if err != nil {
		return nil, err
	}
	return seal.SignStatement(s.identity, seal.Statement{Serial: s.serial, Nonce: nonce, Licenses: s.held()})
}

// Watch gives a channel that receives after each change of licenses or group.
// Changes that come while one is waiting there are told of once; whoever
// receives then asks Licenses. It is closed when ctx ends or Close is called.
func (c *Container) Watch(ctx context.Context) <-chan struct{} {
	ch := make(chan struct{}, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		close(ch)
		return ch
	}
	c.watchers[ch] = struct{}{}
	context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.unwatch(ch)
	})
	return ch
}

// unwatch needs c.mu.
func (c *Container) unwatch(ch chan struct{}) {
	if _, ok := c.watchers[ch]; ok {
		delete(c.watchers, ch)
		close(ch)
	}
}

// publish makes s what readers see.
func (c *Container) publish(s *state) {
	c.mu.Lock()
	defer c.mu.Unlock()
	changed := s.version != c.state.version
	c.state = s
	if !changed {
		return
	}
	for ch := range c.watchers {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// Close waits for what is under way and lets the file go. Closing twice is
// safe.
func (c *Container) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	for ch := range c.watchers {
		c.unwatch(ch)
	}
	c.mu.Unlock()
	c.write.Lock()
	defer c.write.Unlock()
	c.keepTime()
	return c.db.Close()
}
