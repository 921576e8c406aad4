package license_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	. "github.com/quorate/quorate/internal/license"
)

var chart = Product{Firm: 6000010, Code: 14}

// held is a license with TMR-ID id; the quantity follows from the id, so that
// each id has its own terms.
func held(id uint32) Held {
	h := Held{License: License{Product: chart, Name: "Chart Processing", Options: terms(id)}}
	if id > 1 {
		p := terms(id - 1)
		h.Predecessor = &p
	}
	return h
}

func terms(id uint32) Options { return Options{Quantity: id*10 - 50, TMRID: id} }

func present(id uint32) Observation {
	return Observation{Presence: Present, Licenses: []Held{held(id)}}
}

func activating(id uint32) Observation {
	return Observation{Presence: Activating, Licenses: []Held{held(id)}}
}

var absent = Observation{}

// The update table of the domain, row by row: TMR-ID #7 is 20 licenses, #8 is 30.
func TestViewThroughAnUpdate(t *testing.T) {
	tests := []struct {
		stage    string
		obs      [Backends]Observation
		status   string
		quantity uint32
		id       uint32
	}{
		{"before", [3]Observation{present(7), present(7), present(7)}, "1:#7 2:#7 3:#7", 20, 7},
		{"updating 1", [3]Observation{activating(7), present(7), present(7)}, "1:- 2:#7 3:#7", 20, 7},
		{"updating 1, swapped", [3]Observation{activating(8), present(7), present(7)}, "1:- 2:#7 3:#7", 20, 7},
		{"after 1", [3]Observation{present(8), present(7), present(7)}, "1:(#8) 2:#7 3:#7", 20, 7},
		{"updating 2", [3]Observation{present(8), activating(7), present(7)}, "1:(#8) 2:- 3:#7", 20, 7},
		{"updating 2, swapped", [3]Observation{present(8), activating(8), present(7)}, "1:(#8) 2:- 3:#7", 20, 7},
		{"after 2", [3]Observation{present(8), present(8), present(7)}, "1:#8 2:#8 3:(#7)", 30, 8},
		{"updating 3", [3]Observation{present(8), present(8), activating(7)}, "1:#8 2:#8 3:-", 30, 8},
		{"updating 3, swapped", [3]Observation{present(8), present(8), activating(8)}, "1:#8 2:#8 3:-", 30, 8},
		{"after 3", [3]Observation{present(8), present(8), present(8)}, "1:#8 2:#8 3:#8", 30, 8},
	}
	var last View
	for _, tt := range tests {
		t.Run(tt.stage, func(t *testing.T) {
			v := Merge(last, tt.obs)
			l, ok := v.Find(chart)
			if !ok || !l.InForce {
				t.Fatalf("no license in force: %+v", v)
			}
			if got := v.Status(); got != tt.status {
				t.Errorf("status %q, want %q", got, tt.status)
			}
			if l.Options.Quantity != tt.quantity || l.Options.TMRID != tt.id {
				t.Errorf("%d/#%d in force, want %d/#%d", l.Options.Quantity, l.Options.TMRID, tt.quantity, tt.id)
			}
			if changed := !v.Equal(last); changed != (v.Version > last.Version) {
				t.Errorf("version %d after %d, changed %v", v.Version, last.Version, changed)
			}
			last = v
		})
	}
}

// The availability table's backend columns: two of three serve, one doesn't.
func TestViewAvailability(t *testing.T) {
	for mask := range 8 {
		var obs [Backends]Observation
		up := 0
		for i := range obs {
			if mask>>i&1 == 1 {
				obs[i] = present(7)
				up++
			}
		}
		v := Merge(View{}, obs)
		l, found := v.Find(chart)
		if l.InForce != (up >= Majority) {
			t.Errorf("%03b: in force %v with %d backends", mask, l.InForce, up)
		}
		if found != (up > 0) {
			t.Errorf("%03b: listed %v", mask, found)
		}
		if v.PresentCount() != up {
			t.Errorf("%03b: %d present", mask, v.PresentCount())
		}
	}
}

// All combinations of what three backends can show: absent, without the
// license, or with one of four TMR-IDs, present or activating: 11³ views,
// against the rule as the domain words it.
func TestViewOfEveryCombination(t *testing.T) {
	var choices []Observation
	choices = append(choices, absent, Observation{Presence: Present}, Observation{Presence: Activating})
	for id := uint32(6); id <= 9; id++ {
		choices = append(choices, present(id), activating(id))
	}
	seen := 0
	for _, a := range choices {
		for _, b := range choices {
			for _, c := range choices {
				seen++
				obs := [Backends]Observation{a, b, c}
				l, _ := Merge(View{}, obs).Find(chart)
				wantID, want := ruleOf(obs)
				if l.InForce != want || (want && (l.Options.TMRID != wantID || l.Options.Quantity != terms(wantID).Quantity)) {
					t.Fatalf("%s: got %v %+v, want %v #%d", describe(obs), l.InForce, l.Options, want, wantID)
				}
				for i, cell := range l.Cells {
					show := obs[i].Presence == Present && len(obs[i].Licenses) > 0
					if cell.Shown() != show || cell.InForce != (show && want && cell.TMRID == wantID) {
						t.Fatalf("%s: cell %d is %+v", describe(obs), i+1, cell)
					}
				}
			}
		}
	}
	if seen != len(choices)*len(choices)*len(choices) || seen != 1331 {
		t.Fatalf("%d combinations", seen)
	}
}

// ruleOf is the rule word by word: the highest TMR-ID that at least two
// containers have or supersede; activating ones are asked only where the
// others are too few.
func ruleOf(obs [Backends]Observation) (uint32, bool) {
	for _, withActivating := range []bool{false, true} {
		for id := uint32(9); id >= 6; id-- {
			votes, here := 0, 0
			for _, o := range obs {
				if len(o.Licenses) == 0 || (o.Presence == Activating && !withActivating) {
					continue
				}
				here++
				if o.Licenses[0].Options.TMRID >= id {
					votes++
				}
			}
			if here >= 2 && votes >= 2 {
				return id, true
			}
		}
	}
	return 0, false
}

func describe(obs [Backends]Observation) string {
	var parts []string
	for _, o := range obs {
		s := o.Presence.String()
		if len(o.Licenses) > 0 {
			s += fmt.Sprintf("#%d", o.Licenses[0].Options.TMRID)
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, " ")
}

func TestViewConflict(t *testing.T) {
	other := held(7)
	other.Options.Quantity = 99
	tampered := Observation{Presence: Present, Licenses: []Held{other}}
	v := Merge(View{}, [3]Observation{tampered, present(7), absent})
	if l, _ := v.Find(chart); l.InForce || !l.Conflict {
		t.Errorf("two that disagree are in force: %+v", l)
	}
	v = Merge(View{}, [3]Observation{tampered, present(7), present(7)})
	if l, _ := v.Find(chart); !l.InForce || l.Options.Quantity != 20 {
		t.Errorf("two of three that agree don't count: %+v", l)
	}
	v = Merge(View{}, [3]Observation{tampered, present(8), absent})
	if l, _ := v.Find(chart); l.InForce || !l.Conflict {
		t.Errorf("the successor's word about #7 is ignored: %+v", l)
	}
	v = Merge(View{}, [3]Observation{tampered, present(8), present(7)})
	if l, _ := v.Find(chart); !l.InForce || l.Options.Quantity != 20 {
		t.Errorf("predecessor and holder agree, yet: %+v", l)
	}
}

func TestViewLeavesOtherLicensesAlone(t *testing.T) {
	plain := Held{License: License{Product: Product{Firm: 6000010, Code: 2}, Options: Options{Quantity: 5}}}
	late := Held{License: License{Product: Product{Firm: 6000010, Code: 3}, Options: Options{Quantity: 5, TMRID: 2}}}
	with := func(h ...Held) Observation { return Observation{Presence: Present, Licenses: h} }
	v := Merge(View{}, [3]Observation{with(held(7), plain, late), with(plain, held(7), late), with(held(7), plain)})
	if len(v.Licenses) != 2 || v.Licenses[0].Product != late.Product || v.Licenses[1].Product != chart {
		t.Fatalf("licenses: %+v", v.Licenses)
	}
	if head, _ := v.Headline(); head.Product != late.Product {
		t.Errorf("headline is %v, want the one that is not unanimous", head.Product)
	}
	if got := v.Status(); got != "1:#2 2:#2 3:-" {
		t.Errorf("status %q", got)
	}
	if got := Merge(View{}, [3]Observation{}).Status(); got != "1:- 2:- 3:-" {
		t.Errorf("status of nothing %q", got)
	}
}

func TestMergeKeepsVersionWhileNothingChanges(t *testing.T) {
	obs := [3]Observation{present(7), present(7), present(7)}
	v := Merge(View{}, obs)
	if v.Version != 1 {
		t.Errorf("first version is %d", v.Version)
	}
	if w := Merge(v, obs); w.Version != 1 {
		t.Errorf("version %d without a change", w.Version)
	}
	if w := Merge(v, [3]Observation{present(7), present(7), absent}); w.Version != 2 {
		t.Errorf("version %d after a change", w.Version)
	}
}

func BenchmarkMerge(b *testing.B) {
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprintf("licenses=%d", n), func(b *testing.B) {
			var licenses []Held
			for i := range n {
				h := held(7)
				h.Product.Code = ProductCode(i)
				licenses = append(licenses, h)
			}
			o := Observation{Presence: Present, Licenses: licenses}
			obs := [3]Observation{o, o, {Presence: Present, Licenses: slices.Clone(licenses)}}
			var v View
			b.ReportAllocs()
			for b.Loop() {
				v = Merge(v, obs)
			}
			if len(v.Licenses) != n {
				b.Fatal(len(v.Licenses))
			}
		})
	}
}
