package tmr

import (
	"context"
	"slices"

	"github.com/quorate/quorate/internal/license"
)

const (
	mostViews = 2048    // kept for readers
	mostKept  = 400_000 // rules of access lists in all of them, a license counting as licenseWeight
	// licenseWeight is how many rules take as much memory as a license without
	// any.
	licenseWeight = 8
)

func weight(v license.View) int {
	n := licenseWeight * len(v.Licenses)
	for _, l := range v.Licenses {
		n += len(l.Options.AccessList)
	}
	return n
}

// history is the newest views, oldest first, with consecutive versions. There
// is always one.
type history struct {
	views []license.View
	kept  int
}

func (h *history) last() license.View {
	if len(h.views) == 0 {
		return license.View{}
	}
	return h.views[len(h.views)-1]
}

func (h *history) add(v license.View) {
	h.views = append(h.views, v)
	h.kept += weight(v)
	for len(h.views) > mostViews || (h.kept > mostKept && len(h.views) > 2) {
		h.kept -= weight(h.views[0])
		h.views[0] = license.View{} // let go of its licenses now
		h.views = h.views[1:]
	}
}

// after gives up to most views after a version; ok is false where the next one
// is kept no more.
func (h *history) after(version uint64, most int) (views []license.View, ok bool) {
	oldest := h.views[0].Version
	if version+1 < oldest {
		return nil, false
	}
	from := min(version+1-oldest, uint64(len(h.views)))
	views = h.views[from:]
	return slices.Clone(views[:min(len(views), most)]), true
}

// Views gives up to most views after a version, oldest first, with no version
// left out, and waits for the first until ctx ends or the group stops (then:
// none, no error). Error: CodeConflict where the next view is no longer kept;
// the reader goes on from View.
func (g *Group) Views(ctx context.Context, after uint64, most int) ([]license.View, error) {
	for {
		g.mu.Lock()
		views, ok := g.history.after(after, most)
		changed := g.changed
		g.mu.Unlock()
		if !ok {
			return nil, license.Errorf(license.CodeConflict, "read the present view and go on from there",
				"views after version %d were missed, since they were not read in time", after)
		}
		if len(views) > 0 {
			return views, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, nil
		case <-g.done:
			return nil, nil
		}
	}
}
