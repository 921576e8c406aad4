package container

import (
	"cmp"
	"encoding/binary"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/seal"
)

// Bounds of a request id, in characters.
const (
	LeastRequest = 8
	MostRequest  = 64
)

// meterID: what was used is counted by product and issue.
type meterID struct {
	product license.Product
	issue   uint32
}

func (i meterID) record() string {
	b := binary.BigEndian.AppendUint32([]byte(prefixMeter), uint32(i.product.Firm))
	b = binary.BigEndian.AppendUint32(b, uint32(i.product.Code))
	return string(binary.BigEndian.AppendUint32(b, i.issue))
}

// meter is what was used. One is there once something was, and outlives its
// license.
type meter struct {
	first  time.Time // of the first use; zero: not noted
	units  uint64
	epoch  uint64 // in which a TMR group's leader wrote it; 0: none did
	recent []license.Taken
}

// same says whether both are one meter that did not change; cheaper than
// comparing all takings.
func (m meter) same(n meter) bool {
	return m.first.Equal(n.first) && m.units == n.units && m.epoch == n.epoch && len(m.recent) == len(n.recent) &&
		(len(m.recent) == 0 || &m.recent[0] == &n.recent[0])
}

// taken finds a taking by its request.
func (m meter) taken(request string) (license.Taken, bool) {
	i := slices.IndexFunc(m.recent, func(t license.Taken) bool { return t.Request == request })
	if i < 0 {
		return license.Taken{}, false
	}
	return m.recent[i], true
}

// Use gives what was used of the held license under its issue; nothing where
// there is no license.
func (c *Container) Use(p license.Product) license.Use {
	s := c.current()
	g, ok := s.licenses[p]
	if !ok {
		return license.Use{}
	}
	m := s.meters[meterID{p, g.License.Options.Issue}]
	return license.Use{First: m.first, Units: m.units}
}

// Started notes, durably, that the held license's usage period has begun, if it
// has one and was not used before under its issue. Error: license.CodeNoLicense.
func (c *Container) Started(p license.Product) error {
	begin := func(s *state) (meterID, bool, error) {
		g, ok := s.licenses[p]
		if !ok {
			return meterID{}, false, noLicense(p)
		}
		o := g.License.Options
		id := meterID{p, o.Issue}
		return id, o.UsagePeriod != 0 && s.meters[id].first.IsZero(), nil
	}
	// Nearly every use is not the first.
	if _, needed, err := begin(c.current()); err != nil || !needed {
		return err
	}
	c.write.Lock()
	defer c.write.Unlock()
	id, needed, err := begin(c.current())
	if err != nil || !needed {
		return err
	}
	at, _ := c.now()
	return c.change(func(s *state) (*state, error) {
		m := s.meters[id]
		m.first = at.Truncate(time.Millisecond)
		return s.metered(id, m), nil
	})
}

// TakeUnits takes n units of a license's counter, all or none, in one durable
// step, and gives how many are left. A request that is repeated with the same id
// takes once, while it is among the last license.MostRecent. Errors:
// license.CodeNoUnits, CodeNoLicense, CodeInvalidInput, CodeRequestMismatch for
// an id that took another number, CodeTMROnly for a license of a TMR group, whose
// leader counts.
func (c *Container) TakeUnits(p license.Product, request string, n uint64) (left uint64, err error) {
	if err := checkTaken(license.Taken{Request: request, Units: n}); err != nil {
		return 0, err
	}
	c.write.Lock()
	defer c.write.Unlock()
	// What is refused or repeated costs no write.
	id, m, left, again, err := c.current().take(p, request, n)
	if err != nil || again {
		return left, err
	}
	err = c.change(func(s *state) (*state, error) { return s.metered(id, m), nil })
	if err != nil {
		return 0, err
	}
	return left, nil
}

// take gives the meter after a taking; again: it is the same as before.
func (s *state) take(p license.Product, request string, n uint64) (id meterID, m meter, left uint64, again bool, err error) {
	g, ok := s.licenses[p]
	o := g.License.Options
	switch {
	case !ok:
		return id, m, 0, false, noLicense(p)
	case o.TMRID != 0:
		return id, m, 0, false, license.Errorf(license.CodeTMROnly, "ask the TMR server", "the license for %s is one of a TMR group: its units are counted by the TMR server", p)
	case o.Units == nil:
		return id, m, 0, false, license.Errorf(license.CodeInvalidInput, "use it without taking units", "the license for %s has no unit counter", p)
	}
	id = meterID{p, o.Issue}
	m = s.meters[id]
	left = *o.Units - min(m.units, *o.Units) // the vendor may have lowered them
	if t, ok := m.taken(request); ok {
		if t.Units != n {
			return id, m, 0, false, license.Errorf(license.CodeRequestMismatch, "use a new request id for each taking", "the request has taken %d units of %s before, and %d are wanted now", t.Units, p, n)
		}
		return id, m, left, true, nil
	}
	if n > left {
		return id, m, left, false, license.NoUnits(p, left, n)
	}
	m.units += n
	m.recent = append(slices.Clone(m.recent[max(0, len(m.recent)+1-license.MostRecent):]), license.Taken{Request: request, Units: n})
	return id, m, left - n, false, nil
}

// PromiseMeters promises the epoch of a TMR group's leader, durably: from then
// on no meter is written under a lower one. It gives the meters of all products
// but those that the container holds outside a group; their takings are
// read-only. Error: license.CodeFenced when a higher epoch is promised.
func (c *Container) PromiseMeters(epoch uint64) ([]license.Meter, error) {
	c.write.Lock()
	defer c.write.Unlock()
	if err := c.current().fenced(epoch); err != nil {
		return nil, err
	}
	if epoch > c.current().promised {
		err := c.change(func(s *state) (*state, error) {
			next := s.clone()
			next.promised = epoch
			return next, nil
		})
		if err != nil {
			return nil, err
		}
	}
	s := c.current()
	var all []license.Meter
	for id, m := range s.meters {
		if g, ok := s.licenses[id.product]; !ok || g.License.Options.TMRID != 0 {
			all = append(all, license.Meter{Product: id.product, Issue: id.issue, Epoch: m.epoch, Units: m.units, Recent: m.recent})
		}
	}
	slices.SortFunc(all, func(a, b license.Meter) int {
		return cmp.Or(a.Product.Compare(b.Product), cmp.Compare(a.Issue, b.Issue))
	})
	return all, nil
}

// WriteMeter sets what was taken of a TMR license's units under one issue, as
// its leader counts them in this epoch; durably. Of one issue the higher (epoch,
// units) stays. Writing the same twice is fine. Errors: license.CodeFenced for a
// lower epoch than promised, CodeConflict for fewer units, or others, in the
// meter's own epoch, and for an issue that was replaced, CodeNoLicense where the
// container holds no TMR license of the product, CodeInvalidInput.
func (c *Container) WriteMeter(epoch uint64, m license.Meter) error {
	if err := checkMeter(m); err != nil {
		return err
	}
	c.write.Lock()
	defer c.write.Unlock()
	s := c.current()
	if err := s.fenced(epoch); err != nil {
		return err
	}
	if epoch == 0 {
		return license.Errorf(license.CodeInvalidInput, "write it under the leader's epoch", "a meter of %s can't be written under the epoch 0", m.Product)
	}
	same, err := s.admitMeter(epoch, m)
	if err != nil || same {
		return err
	}
	return c.change(func(s *state) (*state, error) {
		id := meterID{m.Product, m.Issue}
		next := s.metered(id, meter{first: s.meters[id].first, units: m.Units, epoch: epoch, recent: slices.Clone(m.Recent)})
		next.promised = max(next.promised, epoch)
		return next, nil
	})
}

func (s *state) fenced(epoch uint64) error {
	if epoch < s.promised {
		return license.Errorf(license.CodeFenced, "ask the active TMR server", "the epoch %d has ended: the meters are kept under %d", epoch, s.promised)
	}
	return nil
}

// admitMeter says whether the leader's meter may be written, and whether it is
// the same as now.
func (s *state) admitMeter(epoch uint64, m license.Meter) (same bool, err error) {
	g, ok := s.licenses[m.Product]
	if !ok || g.License.Options.TMRID == 0 {
		return false, license.Errorf(license.CodeNoLicense, "have it rolled out to the backend", "there is no TMR license for %s in the container", m.Product)
	}
	id := meterID{m.Product, m.Issue}
	was, known := s.meters[id]
	switch {
	case !known && m.Issue < s.lastIssue(m.Product) && !s.needs(id):
		return false, license.Errorf(license.CodeConflict, "count under the issue of the license in force", "the issue %d of the license for %s was replaced", m.Issue, m.Product)
	case !known && !s.room(m.Product):
		return false, tooManyMeters()
	case known && epoch == was.epoch && m.Units == was.units && slices.Equal(m.Recent, was.recent):
		return true, nil
	case known && epoch == was.epoch && m.Units <= was.units:
		return false, license.Errorf(license.CodeConflict, "read the meter again", "the meter of %s shows %d units in this epoch already, and %d were to be written", m.Product, was.units, m.Units)
	}
	return false, nil
}

// room says whether one more product can have a meter.
func (s *state) room(p license.Product) bool {
	products := s.meteredProducts()
	products[p] = struct{}{}
	return len(products) <= seal.MostMeters
}

// meteredProducts are those that have a meter, or may get one by being used.
func (s *state) meteredProducts() map[license.Product]struct{} {
	all := make(map[license.Product]struct{})
	for id := range s.meters {
		all[id.product] = struct{}{}
	}
	for p, g := range s.licenses {
		if o := g.License.Options; o.Units != nil || o.UsagePeriod != 0 || o.TMRID != 0 {
			all[p] = struct{}{}
		}
	}
	return all
}

func tooManyMeters() error {
	return license.Errorf(license.CodeTooLarge, "use another container", "the container would keep count of more than %d products, those that it held before included", seal.MostMeters)
}

// lastIssue is the highest issue under which something was used.
func (s *state) lastIssue(p license.Product) (issue uint32) {
	for id := range s.meters {
		if id.product == p {
			issue = max(issue, id.issue)
		}
	}
	return issue
}

// metered gives the state with one more meter, without those that this one
// replaces.
func (s *state) metered(id meterID, m meter) *state {
	next := s.clone()
	next.meters[id] = m
	next.settleMeters(id.product)
	return next
}

// settleMeters keeps of a product the meter of the highest issue, below which no
// update goes, and those of the issues that the license and the terms before it
// have: while an update goes round in a TMR group, both may be in force.
func (s *state) settleMeters(p license.Product) {
	last := s.lastIssue(p)
	maps.DeleteFunc(s.meters, func(id meterID, _ meter) bool {
		return id.product == p && id.issue != last && !s.needs(id)
	})
}

// needs says whether the held license, or the terms before it, have the issue.
func (s *state) needs(id meterID) bool {
	g, ok := s.licenses[id.product]
	h := g.License
	return ok && (id.issue == h.Options.Issue || (h.Predecessor != nil && id.issue == h.Predecessor.Issue))
}

// used gives the last meter of each product, for a fingerprint.
func (s *state) used() []seal.Meter {
	last := make(map[license.Product]seal.Meter)
	for id, m := range s.meters {
		if was, ok := last[id.product]; !ok || was.Issue < id.issue {
			last[id.product] = seal.Meter{Product: id.product, Issue: id.issue, First: m.first, Units: m.units}
		}
	}
	return slices.Collect(maps.Values(last))
}

func noLicense(p license.Product) error {
	return license.Errorf(license.CodeNoLicense, "order it from the vendor, or ask another server", "there is no license for %s in the container", p)
}

func checkTaken(t license.Taken) error {
	plain := func(r rune) bool { return r <= ' ' || r > '~' }
	switch {
	case len(t.Request) < LeastRequest || len(t.Request) > MostRequest || strings.ContainsFunc(t.Request, plain):
		return license.Errorf(license.CodeInvalidInput, "use a UUID, new for each taking", "a request id must be %d to %d characters of ASCII without blanks", LeastRequest, MostRequest)
	case t.Units == 0 || t.Units > license.MostUnits:
		return license.Errorf(license.CodeInvalidInput, "take at least one", "%d units can't be taken", t.Units)
	}
	return nil
}

func checkMeter(m license.Meter) error {
	if m.Units > license.MostUnits || len(m.Recent) > license.MostRecent || m.Product.Firm == 0 {
		return license.Errorf(license.CodeInvalidInput, "correct the value", "the meter of %s has %d units and %d takings: more than there can be", m.Product, m.Units, len(m.Recent))
	}
	for i, t := range m.Recent {
		if err := checkTaken(t); err != nil {
			return err
		}
		if slices.ContainsFunc(m.Recent[:i], func(u license.Taken) bool { return u.Request == t.Request }) {
			return license.Errorf(license.CodeInvalidInput, "correct the value", "the meter of %s has a request twice", m.Product)
		}
	}
	return nil
}

func (m meter) marshal() []byte {
	b := appendTime(nil, m.first)
	b = binary.BigEndian.AppendUint64(b, m.units)
	b = binary.BigEndian.AppendUint64(b, m.epoch)
	b = append(b, byte(len(m.recent))) //nolint:gosec // G115: at most license.MostRecent
	for _, t := range m.recent {
		b = append(b, byte(len(t.Request))) //nolint:gosec // G115: at most MostRequest
		b = append(b, t.Request...)
		b = binary.BigEndian.AppendUint64(b, t.Units)
	}
	return b
}

func parseMeter(b []byte) (meter, bool) {
	r := fields{b: b}
	m := meter{first: r.time(), units: r.u64(), epoch: r.u64()}
	for n := r.u8(); n > 0 && !r.bad; n-- {
		m.recent = append(m.recent, license.Taken{Request: r.text(int(r.u8())), Units: r.u64()})
	}
	return m, r.end() && m.units <= license.MostUnits && len(m.recent) <= license.MostRecent
}
