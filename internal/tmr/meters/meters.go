package meters

import (
	"context"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/license"
)

const (
	// CallTime bounds one call to one backend.
	CallTime = 2 * time.Second
	// Freshness is how old the last confirmation by two backends may be, counted
	// from before they were asked, for Use to answer from memory.
	Freshness = 2 * time.Second
	// LeastRequest and MostRequest bound a request id, in characters.
	LeastRequest, MostRequest = 8, 64

	mostBatch     = 64     // takings in one write: each is in Recent for the next write, too
	mostWaiting   = 4096   // calls for one meter
	mostKnown     = 1024   // takings of one meter that this leader remembers
	mostRegisters = 10_000 // under one epoch
)

// Backend is what a leader asks of one backend. Both calls are durable when they
// return nil, and give CodeFenced where a newer epoch was promised; any other
// error leaves open what happened.
type Backend interface {
	// Promise promises the epoch for all meters, and gives one; found is false
	// where nothing is known of it.
	Promise(ctx context.Context, epoch uint64, p license.Product, issue uint32) (m license.Meter, found bool, err error)
	// Write sets a meter under its epoch.
	Write(ctx context.Context, m license.Meter) error
}

type key struct {
	product license.Product
	issue   uint32
}

// Meters are a group's unit meters as one TMR server keeps them while it leads.
// Safe for concurrent use.
type Meters struct {
	backends [license.Backends]Backend
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc

	mu        sync.Mutex
	epoch     uint64 // the highest asked for
	deposed   bool   // a newer one leads
	registers map[key]*register
	closed    bool
	running   sync.WaitGroup
}

// New makes meters that nothing is known of yet.
func New(backends [license.Backends]Backend) *Meters {
	m := &Meters{backends: backends, registers: make(map[key]*register)}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	return m
}

// Close ends all calls and returns when nothing runs any more. Closing twice is
// safe.
func (m *Meters) Close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.cancel()
	m.running.Wait()
}

// Take takes n of the granted units, all or none, under the caller's epoch, and
// gives how many are left then. request is the caller's id for this taking: with
// the same n it gets the same answer again and takes nothing, with another n
// CodeRequestMismatch. Other errors: CodeNoUnits (takes nothing), CodeFenced (a
// newer epoch leads), CodeInvalidInput, CodeThrottled; and CodeNoMajority or
// CodeUnavailable, after which the units may be taken or not: the same request
// repeated finds out.
func (m *Meters) Take(
	ctx context.Context, epoch uint64, p license.Product, issue uint32, granted uint64, request string, n uint64,
) (left uint64, err error) {
	// Backends refuse a meter with another one: it would spoil the chain.
	strange := func(c rune) bool { return c <= ' ' || c > '~' }
	if len(request) < LeastRequest || len(request) > MostRequest || strings.ContainsFunc(request, strange) {
		return 0, license.Errorf(license.CodeInvalidInput, "use a UUID, new for each taking",
			"a request id must be %d to %d characters of ASCII without blanks", LeastRequest, MostRequest)
	}
	if n == 0 || n > license.MostUnits {
		return 0, license.Errorf(license.CodeInvalidInput, "take at least 1", "%d units can't be taken", n)
	}
	r, err := m.register(epoch, p, issue)
	if err != nil {
		return 0, err
	}
	return r.ask(ctx, &call{request: request, n: n, granted: min(granted, license.MostUnits)})
}

// Use gives what was taken of a product's units under an issue. It counts all
// that was answered before, by whomever, up to Freshness before this call.
// Errors: as Take's.
func (m *Meters) Use(ctx context.Context, epoch uint64, p license.Product, issue uint32) (units uint64, err error) {
	r, err := m.register(epoch, p, issue)
	if err != nil {
		return 0, err
	}
	if units, ok := r.remembered(); ok {
		return units, nil
	}
	return r.ask(ctx, &call{})
}

// Back tells that a backend, by its index, is there again: what it missed is
// written to it, without waiting for the next taking.
func (m *Meters) Back(backend int) {
	m.mu.Lock()
	var all []*register
	if !m.deposed {
		for _, r := range m.registers {
			all = append(all, r)
		}
	}
	m.mu.Unlock()
	for _, r := range all {
		r.catchUp(backend)
	}
}

// register gives the one register of a meter under an epoch. It stays as long as
// the epoch, since two of them would be two chains.
func (m *Meters) register(epoch uint64, p license.Product, issue uint32) (*register, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case epoch == 0 || epoch == math.MaxUint64:
		return nil, license.Errorf(license.CodeInvalidInput, "claim an epoch first", "%d is no epoch", epoch)
	case m.closed:
		return nil, stopping()
	case epoch > m.epoch:
		m.epoch, m.deposed, m.registers = epoch, false, make(map[key]*register)
	case epoch < m.epoch || m.deposed:
		return nil, fenced(epoch, nil)
	}
	k := key{p, issue}
	r := m.registers[k]
	if r == nil {
		if len(m.registers) >= mostRegisters {
			return nil, license.Errorf(license.CodeThrottled, "start the TMR server again", "%d unit meters are in use", mostRegisters)
		}
		r = newRegister(m, k, epoch)
		m.registers[k] = r
	}
	return r, nil
}

// depose ends an epoch for good.
func (m *Meters) depose(epoch uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.epoch == epoch {
		m.deposed = true
	}
}

// over says whether nothing may be begun under an epoch any more.
func (m *Meters) over(epoch uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.epoch != epoch || m.deposed
}

// spawn runs f until Close waits for it; false: closed.
func (m *Meters) spawn(f func()) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false
	}
	m.running.Go(f)
	return true
}

func stopping() error {
	return license.Errorf(license.CodeUnavailable, "try again on the other one, with the same request id", "the TMR server is stopping")
}

func fenced(epoch uint64, cause error) error {
	return &license.Error{
		Code: license.CodeFenced, Err: cause,
		Message: "another TMR server leads the group (this one has epoch " + decimal(epoch) + ")",
		Fix:     "ask again: the server that leads will answer",
	}
}

func noMajority(cause error) error {
	return &license.Error{
		Code: license.CodeNoMajority, Err: cause,
		Message: "fewer than two of three backends confirm how many units are taken",
		Fix:     "start the missing backends, then ask again with the same request id: it takes once",
	}
}
