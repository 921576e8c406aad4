// Package backendtest has a container in memory for tests of whatever speaks
// with backends: its updates are plain text, and it fails where it is told to.
package backendtest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"slices"
	"sync"

	"github.com/quorate/quorate/internal/container"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

// Container satisfies backend.Container. Safe for concurrent use.
type Container struct {
	serial     license.Serial
	activation [16]byte

	mu       sync.Mutex
	version  uint64
	held     []license.Held
	group    *seal.Group
	staged   []byte
	receipts map[[32]byte][]byte
	watchers map[chan struct{}]struct{}
	calls    map[string]int
	fault    func(call string, done bool) error
	use      use
}

// New makes an empty container.
func New(serial license.Serial, activation [16]byte) *Container {
	return &Container{
		serial: serial, activation: activation, receipts: make(map[[32]byte][]byte),
		watchers: make(map[chan struct{}]struct{}), calls: make(map[string]int), use: newUse(),
	}
}

// Fault has f asked before each call, with done false, and after it with done
// true; an error of the second kind is "failed but persisted". It may block.
func (c *Container) Fault(f func(call string, done bool) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fault = f
}

// Calls says how often a method was called.
func (c *Container) Calls(call string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[call]
}

func (c *Container) asked(call string) error {
	c.mu.Lock()
	c.calls[call]++
	f := c.fault
	c.mu.Unlock()
	if f == nil {
		return nil
	}
	return f(call, false)
}

func (c *Container) did(call string) error {
	c.mu.Lock()
	f := c.fault
	c.mu.Unlock()
	if f == nil {
		return nil
	}
	return f(call, true)
}

// Set replaces what the container holds.
func (c *Container) Set(held ...license.Held) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.set(held)
}

func (c *Container) set(held []license.Held) {
	c.version++
	c.held = held
	for w := range c.watchers {
		select {
		case w <- struct{}{}:
		default:
		}
	}
}

// SetGroup puts the container into a group.
func (c *Container) SetGroup(g seal.Group) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.group = &g
}

// Update makes an update that replaces what a container holds.
func Update(held ...license.Held) []byte {
	b, err := json.Marshal(held)
	if err != nil {
		panic(err) // there is nothing in it that JSON can't write
	}
	return b
}

// Serial implements backend.Container.
func (c *Container) Serial() license.Serial { return c.serial }

// ActivationID implements backend.Container.
func (c *Container) ActivationID() [16]byte { return c.activation }

// Licenses implements backend.Container.
func (c *Container) Licenses() (uint64, []license.Held) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.version, c.held
}

// License implements backend.Container.
func (c *Container) License(p license.Product) (license.Held, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.held, func(h license.Held) bool { return h.Product == p })
	if i < 0 {
		return license.Held{}, false
	}
	return c.held[i], true
}

// Group implements backend.Container.
func (c *Container) Group() (seal.Group, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.group == nil {
		return seal.Group{}, false
	}
	return *c.group, true
}

// Fingerprint gives "fingerprint SERIAL NONCE".
func (c *Container) Fingerprint(nonce []byte) ([]byte, error) {
	if err := c.asked("Fingerprint"); err != nil {
		return nil, err
	}
	return []byte("fingerprint " + c.serial.String() + " " + string(nonce)), nil
}

// Stage takes what Update makes.
func (c *Container) Stage(update []byte) (container.Staged, error) {
	if err := c.asked("Stage"); err != nil {
		return container.Staged{}, err
	}
	if !json.Valid(update) {
		return container.Staged{}, license.Errorf(license.CodeUpdateTampered, "fetch it again", "the update is damaged")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	digest := seal.Digest(update)
	if receipt, ok := c.receipts[digest]; ok {
		return container.Staged{Digest: digest, Installed: true, Receipt: receipt}, nil
	}
	c.staged = update
	return container.Staged{Digest: digest, Nonce: []byte(rand.Text())}, nil
}

// Statement gives "statement SERIAL NONCE".
func (c *Container) Statement(nonce []byte) ([]byte, error) {
	if err := c.asked("Statement"); err != nil {
		return nil, err
	}
	return []byte("statement " + c.serial.String() + " " + string(nonce)), nil
}

// Activate swaps the staged update in; the receipt is "receipt SERIAL". It wants
// two statements.
func (c *Container) Activate(digest [32]byte, statements [][]byte) ([]byte, error) {
	if err := c.asked("Activate"); err != nil {
		return nil, err
	}
	c.mu.Lock()
	receipt, err := c.activate(digest, statements)
	c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return receipt, c.did("Activate")
}

func (c *Container) activate(digest [32]byte, statements [][]byte) ([]byte, error) {
	if receipt, ok := c.receipts[digest]; ok {
		return receipt, nil
	}
	if seal.Digest(c.staged) != digest {
		return nil, license.Errorf(license.CodeUpdateNotStaged, "stage it first", "the update is not staged")
	}
	if len(statements) != license.Majority {
		return nil, license.Errorf(license.CodeGuardRefused, "send two statements", "%d statements came", len(statements))
	}
	var held []license.Held
	if err := json.Unmarshal(c.staged, &held); err != nil {
		return nil, err
	}
	c.receipts[digest] = []byte("receipt " + c.serial.String())
	c.set(held)
	return c.receipts[digest], nil
}

// Receipts gives one, "receipt SERIAL", once an update was activated.
func (c *Container) Receipts() ([][]byte, error) {
	if err := c.asked("Receipts"); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.receipts) == 0 {
		return nil, nil
	}
	return [][]byte{[]byte("receipt " + c.serial.String())}, nil
}

// OpenKey gives "opened by SERIAL".
func (c *Container) OpenKey(license.Product, []byte) ([]byte, error) {
	if err := c.asked("OpenKey"); err != nil {
		return nil, err
	}
	return []byte("opened by " + c.serial.String()), nil
}

// Watch implements backend.Container.
func (c *Container) Watch(ctx context.Context) <-chan struct{} {
	ch := make(chan struct{}, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watchers[ch] = struct{}{}
	context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.watchers, ch)
		close(ch)
	})
	return ch
}
