package license

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Backends is how many backends a TMR group has; Majority how many of them
// must hold a license for it to count.
const (
	Backends = 3
	Majority = 2
)

// Presence is what a TMR server sees of one backend.
type Presence uint8

const (
	// Absent: not reachable, or its container is not readable.
	Absent Presence = iota
	// Present: reachable, its licenses count.
	Present
	// Activating: an update is being activated and verified there. It is
	// shown as "-" and left out while the other two carry the license; it
	// counts with what it holds where they don't, since activation is one
	// atomic swap and the backend serves throughout.
	Activating
)

func (p Presence) String() string {
	switch p {
	case Present:
		return "PRESENT"
	case Activating:
		return "ACTIVATING"
	}
	return "ABSENT"
}

// Observation is one backend as a TMR server sees it now.
type Observation struct {
	Presence Presence
	Licenses []Held // meaningless when Absent
}

// Cell is one backend's part of one viewed license.
type Cell struct {
	Presence Presence
	// TMRID and Quantity are zero where the backend does not show the license.
	TMRID    uint32
	Quantity uint32
	// InForce: the backend shows exactly the TMR-ID in force.
	InForce bool
}

// Shown says whether the cell carries a license rather than "-".
func (c Cell) Shown() bool { return c.Presence == Present && c.TMRID != 0 }

// String is the cell as the status line writes it: "-", "#7" or "(#8)".
func (c Cell) String() string {
	if !c.Shown() {
		return "-"
	}
	id := "#" + strconv.FormatUint(uint64(c.TMRID), 10)
	if c.InForce {
		return id
	}
	return "(" + id + ")"
}

// Viewed is one license of the virtual container.
type Viewed struct {
	License
	// InForce: at least two backends vouch for it, so it may be used. When
	// false, License carries the product and name only.
	InForce bool
	// Conflict: backends hold one TMR-ID with different terms and no two
	// agree. Such a license is not in force.
	Conflict bool
	Cells    [Backends]Cell
}

// Status is the status line, for example "1:(#8) 2:#7 3:#7".
func (v Viewed) Status() string { return statusLine(v.Cells) }

// Unanimous says whether all three backends show the TMR-ID in force.
func (v Viewed) Unanimous() bool {
	for _, c := range v.Cells {
		if !c.InForce {
			return false
		}
	}
	return true
}

func statusLine(cells [Backends]Cell) string {
	var b strings.Builder
	for i, c := range cells {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(strconv.Itoa(i + 1))
		b.WriteByte(':')
		b.WriteString(c.String())
	}
	return b.String()
}

// View is the virtual container of a TMR group: what counts by two of three.
type View struct {
	// Version counts the changes since the first view, so that a later view
	// of one observer can be told from an earlier one.
	Version uint64
	// At is when its observer made it, by his clock; Merge leaves it zero, and
	// Equal does not look at it.
	At       time.Time
	Backends [Backends]Presence
	// Licenses are ordered by product; those not in force are listed too, so
	// that people see what is missing.
	Licenses []Viewed
}

// Find gives the viewed license of a product.
func (v View) Find(p Product) (Viewed, bool) {
	for _, l := range v.Licenses {
		if l.Product == p {
			return l, true
		}
	}
	return Viewed{}, false
}

// PresentCount is how many backends are present or activating.
func (v View) PresentCount() int {
	n := 0
	for _, p := range v.Backends {
		if p != Absent {
			n++
		}
	}
	return n
}

// Equal compares everything but version and time.
func (v View) Equal(w View) bool {
	return v.Backends == w.Backends && slices.EqualFunc(v.Licenses, w.Licenses, func(a, b Viewed) bool {
		return a.Product == b.Product && a.Name == b.Name && a.Options.Equal(b.Options) &&
			a.InForce == b.InForce && a.Conflict == b.Conflict && a.Cells == b.Cells
	})
}

// Headline is the license that stands for the group in one line: the first
// that is not unanimous, else the first.
func (v View) Headline() (Viewed, bool) {
	for _, l := range v.Licenses {
		if !l.Unanimous() {
			return l, true
		}
	}
	if len(v.Licenses) > 0 {
		return v.Licenses[0], true
	}
	return Viewed{}, false
}

// Status is the headline's status line; a group without any license shows
// "1:- 2:- 3:-".
func (v View) Status() string {
	if l, ok := v.Headline(); ok {
		return l.Status()
	}
	return statusLine([Backends]Cell{})
}

// Merge makes the view of three observations. It is a pure function: last
// only gives the version to count on from, and the view shares nothing with
// what was observed.
//
// A container with a TMR-ID also vouches for the IDs below it, since an update
// supersedes its predecessors. So the license in force is the one with the
// highest TMR-ID that at least two containers have or supersede: the second
// highest present. With fewer than two there is none.
func Merge(last View, obs [Backends]Observation) View {
	v := View{Version: last.Version}
	for i, o := range obs {
		v.Backends[i] = o.Presence
	}
	held := byProduct(obs)
	for p, h := range held {
		v.Licenses = append(v.Licenses, mergeProduct(p, v.Backends, *h))
	}
	slices.SortFunc(v.Licenses, func(a, b Viewed) int { return a.Product.Compare(b.Product) })
	if last.Version == 0 || !v.Equal(last) {
		v.Version++
	}
	return v
}

// byProduct sorts what the backends hold; nil stands for a backend without it.
func byProduct(obs [Backends]Observation) map[Product]*[Backends]*Held {
	held := make(map[Product]*[Backends]*Held)
	for i, o := range obs {
		if o.Presence == Absent {
			continue
		}
		for j := range o.Licenses {
			h := &o.Licenses[j]
			if h.Options.TMRID == 0 {
				continue // not a TMR license
			}
			if held[h.Product] == nil {
				held[h.Product] = new([Backends]*Held)
			}
			held[h.Product][i] = h
		}
	}
	return held
}

func mergeProduct(p Product, backends [Backends]Presence, shown [Backends]*Held) Viewed {
	v := Viewed{License: License{Product: p}}
	var settled, all []*Held // without and with the activating backends
	for i, held := range shown {
		v.Cells[i].Presence = backends[i]
		if held == nil {
			continue
		}
		v.Name = held.Name
		all = append(all, held)
		if backends[i] == Present {
			settled = append(settled, held)
			v.Cells[i].TMRID, v.Cells[i].Quantity = held.Options.TMRID, held.Options.Quantity
		}
	}
	voters := settled
	if len(settled) < Majority {
		voters = all
	}
	if len(voters) < Majority {
		return v
	}
	ids := make([]uint32, len(voters))
	for i, h := range voters {
		ids[i] = h.Options.TMRID
	}
	slices.Sort(ids)
	inForce := ids[len(ids)-Majority]
	l, ok := terms(inForce, voters)
	if !ok {
		v.Conflict = true
		return v
	}
	v.License, v.InForce = l, true
	for i := range v.Cells {
		v.Cells[i].InForce = v.Cells[i].Shown() && v.Cells[i].TMRID == inForce
	}
	return v
}

// terms reads the options of the TMR-ID in force from the containers that hold
// it or carry it as their predecessor. Where these disagree, two must agree.
func terms(id uint32, voters []*Held) (License, bool) {
	var said []License
	for _, h := range voters {
		switch {
		case h.Options.TMRID == id:
			said = append(said, h.License)
		case h.Predecessor != nil && h.Predecessor.TMRID == id:
			said = append(said, License{Product: h.Product, Name: h.Name, Options: *h.Predecessor})
		}
	}
	best, votes := 0, 0
	for i := range said {
		n := 0
		for _, other := range said {
			if other.Options.Equal(said[i].Options) {
				n++
			}
		}
		if n > votes {
			best, votes = i, n
		}
	}
	if votes == 0 || (votes < len(said) && votes < Majority) {
		return License{}, false
	}
	l := said[best]
	l.Options = l.Options.Clone()
	return l, true
}
