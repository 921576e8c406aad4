package backendtest

import (
	"bytes"
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/license"
)

// use is what the container counts and knows of the time.
type use struct {
	promised  uint64
	meters    []license.Meter
	skew      time.Duration // of its clock
	setBack   bool
	certified time.Time
	nonce     [16]byte
	data      map[license.DataName][]byte
}

func newUse() use {
	u := use{data: make(map[license.DataName][]byte)}
	_, _ = rand.Read(u.nonce[:])
	return u
}

// SetClock has the container's clock go wrong by skew, and seem set back.
func (c *Container) SetClock(skew time.Duration, setBack bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.use.skew, c.use.setBack = skew, setBack
}

// SetData gives the container protected and secret data by name.
func (c *Container) SetData(name license.DataName, data []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.use.data[name] = data
}

// Moment implements backend.Container.
func (c *Container) Moment() license.Moment {
	c.mu.Lock()
	defer c.mu.Unlock()
	return license.Moment{
		At: time.Now().Add(c.use.skew).Round(0), SetBack: c.use.setBack, Certified: c.use.certified,
	}
}

// TimeNonce implements backend.Container.
func (c *Container) TimeNonce() [16]byte {
	_ = c.asked("TimeNonce") // it may be slow, and never fails
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.use.nonce
}

// Certificate makes a time certificate that answers the container's nonce.
func (c *Container) Certificate(at time.Time) []byte {
	nonce := c.TimeNonce()
	return []byte(c.serial.String() + " " + string(nonce[:]) + " " + at.Format(time.RFC3339Nano))
}

// Certify takes what Certificate makes.
func (c *Container) Certify(certificate []byte) error {
	if err := c.asked("Certify"); err != nil {
		return err
	}
	rest, ok := bytes.CutPrefix(certificate, []byte(c.serial.String()+" "))
	if !ok || len(rest) < 18 {
		return license.Errorf(license.CodeTimeForged, "x", "the certificate is another container's")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if [16]byte(rest) != c.use.nonce {
		return license.Errorf(license.CodeTimeStale, "x", "the certificate answers no open request")
	}
	at, err := time.Parse(time.RFC3339Nano, string(rest[17:]))
	if err != nil {
		return license.Errorf(license.CodeTimeForged, "x", "the certificate is damaged")
	}
	c.use.skew, c.use.setBack, c.use.certified = time.Until(at), false, at
	_, _ = rand.Read(c.use.nonce[:])
	return nil
}

// PromiseMeters implements backend.Container.
func (c *Container) PromiseMeters(epoch uint64) ([]license.Meter, error) {
	if err := c.asked("PromiseMeters"); err != nil {
		return nil, err
	}
	c.mu.Lock()
	promised := c.use.promised
	c.use.promised = max(epoch, promised)
	all := slices.Clone(c.use.meters)
	c.mu.Unlock()
	if epoch < promised {
		return nil, fenced(promised)
	}
	return all, c.did("PromiseMeters")
}

// WriteMeter implements backend.Container.
func (c *Container) WriteMeter(epoch uint64, m license.Meter) error {
	if err := c.asked("WriteMeter"); err != nil {
		return err
	}
	if err := c.writeMeter(epoch, m); err != nil {
		return err
	}
	return c.did("WriteMeter")
}

func (c *Container) writeMeter(epoch uint64, m license.Meter) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.use.meters, func(o license.Meter) bool { return o.Product == m.Product && o.Issue == m.Issue })
	if i < 0 {
		i = len(c.use.meters)
		c.use.meters = append(c.use.meters, license.Meter{})
	}
	had := c.use.meters[i]
	if epoch < c.use.promised || epoch < had.Epoch || (epoch == had.Epoch && m.Units < had.Units) {
		return fenced(c.use.promised)
	}
	c.use.promised = epoch
	m.Epoch, m.Recent = epoch, slices.Clone(m.Recent)
	c.use.meters[i] = m
	return nil
}

func fenced(promised uint64) error {
	return license.Errorf(license.CodeFenced, "ask who leads", "epoch %d was promised", promised)
}

// Meter gives a meter as it is; zero where there is none.
func (c *Container) Meter(p license.Product, issue uint32) license.Meter {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.use.meters {
		if m.Product == p && m.Issue == issue {
			return m
		}
	}
	return license.Meter{}
}

// ProtectedData gives what SetData set.
func (c *Container) ProtectedData(_ license.Product, name license.DataName) ([]byte, error) {
	if err := c.asked("ProtectedData"); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	data, ok := c.use.data[name]
	if !ok {
		return nil, license.Errorf(license.CodeNotFound, "ask another container", "there is no such data")
	}
	return data, nil
}

// UseSecret gives "DATA of CONTEXT", made 32 bytes long.
func (c *Container) UseSecret(p license.Product, name license.DataName, context []byte) ([]byte, error) {
	if err := c.asked("UseSecret"); err != nil {
		return nil, err
	}
	data, err := c.ProtectedData(p, name)
	if err != nil {
		return nil, err
	}
	key := string(data) + " of " + string(context)
	return []byte((key + strings.Repeat(".", 32))[:32]), nil
}
