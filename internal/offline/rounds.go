package offline

import (
	"github.com/quorate/quorate/internal/armor"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// round is one update of each container; of missing ones, of those that miss it.
type round [license.Backends]armor.Part

// of gives a round's update for a position.
func (r round) of(position int) *quoratev1.BackendUpdate {
	p := r[position-1]
	return &quoratev1.BackendUpdate{Position: uint32(position), Update: p.Message, Digest: p.Update.Digest[:]} //nolint:gosec // G115: 1 to 3
}

// rounds sorts updates: those that belong together, in the file's order. A
// container that lost updates has more than the others, and gets these first:
// of all firms, since only then each of the three carries all licenses. The
// parts of a round are in the file's order too until check has found where
// they belong.
func rounds(parts []armor.Part) ([]round, error) {
	var missing, whole []round
	for len(parts) > 0 {
		firm := parts[0].Update.Header.Firm
		of := map[license.Serial][]armor.Part{}
		var containers []license.Serial
		most := 0
		var rest []armor.Part
		for _, p := range parts {
			if p.Update.Header.Firm != firm {
				rest = append(rest, p)
				continue
			}
			if of[p.Serial] == nil {
				containers = append(containers, p.Serial)
			}
			of[p.Serial] = append(of[p.Serial], p)
			most = max(most, len(of[p.Serial]))
		}
		if len(containers) > license.Backends {
			return nil, incomplete(firm, len(containers))
		}
		for left := most; left > 0; left-- { // so many are left of who has most
			var r round
			n := 0
			for _, c := range containers {
				if at := len(of[c]) - left; at >= 0 {
					r[n] = of[c][at]
					n++
				}
			}
			if n == len(r) {
				whole = append(whole, r)
			} else {
				missing = append(missing, r)
			}
		}
		parts = rest
	}
	if len(whole) == 0 && len(missing) > 0 {
		n := 0
		for _, p := range missing[len(missing)-1] {
			if p.Update != nil {
				n++
			}
		}
		return nil, incomplete(missing[0].firm(), n)
	}
	return append(missing, whole...), nil
}

func (r round) firm() license.FirmCode { return r[0].Update.Header.Firm }

func incomplete(firm license.FirmCode, containers int) error {
	return license.Errorf(license.CodeUpdateTampered, "get the update from the platform again",
		"the file has an update of firm %d for %d containers instead of three", firm, containers)
}
