package containers

import (
	"slices"

	"github.com/quorate/quorate/ent/schema/property"
	"github.com/quorate/quorate/internal/seal"
)

// metersOf is what is recorded of a container's use with what a fingerprint
// tells: of one issue the most that was ever told, since a restored container
// tells less.
func metersOf(recorded []property.Meter, f seal.Fingerprint) []property.Meter {
	out := slices.Clone(recorded)
	for _, m := range f.Meters {
		now := property.Meter{Product: m.Product.String(), Issue: m.Issue, Units: m.Units}
		if !m.First.IsZero() {
			first := m.First.UTC()
			now.First = &first
		}
		i := slices.IndexFunc(out, func(r property.Meter) bool { return r.Product == now.Product })
		switch {
		case i < 0 && len(out) < seal.MostMeters:
			out = append(out, now)
		case i < 0 || out[i].Issue > now.Issue:
		case out[i].Issue < now.Issue:
			out[i] = now
		default:
			out[i].Units = max(out[i].Units, now.Units)
			if first := out[i].First; first == nil || (now.First != nil && now.First.Before(*first)) {
				out[i].First = now.First
			}
		}
	}
	return out
}
