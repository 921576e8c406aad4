package plans

import (
	"slices"
	"time"
	_ "time/tzdata" // zones are known on machines without their files too

	"github.com/quorate/quorate/ent/schema/property"
)

const minutesOfDay = 24 * 60

func checkWindow(w property.Window) error {
	for i, d := range w.Days {
		if d < 0 || d > 6 || slices.Contains(w.Days[:i], d) {
			return field("window.days", "name each day once", "days are 0 (Sunday) to 6 (Saturday)")
		}
	}
	if w.From < 0 || w.From >= minutesOfDay || w.To < 0 || w.To >= minutesOfDay || w.From == w.To {
		return field("window", "for example 22:00 to 04:00 are 1320 and 240", "a window goes from one minute of the day, 0 to 1439, to another one")
	}
	if _, err := time.LoadLocation(w.Zone); err != nil {
		return field("window.zone", "write it as Europe/Berlin, or leave it out for UTC", "the time zone is not known")
	}
	return nil
}

// open says whether rollouts may begin at a time. A window that passes midnight
// belongs to the day on which it begins.
func open(w *property.Window, now time.Time) bool {
	if w == nil {
		return true
	}
	zone, err := time.LoadLocation(w.Zone)
	if err != nil {
		return false
	}
	local := now.In(zone)
	day, minute := int(local.Weekday()), local.Hour()*60+local.Minute()
	on := func(day int) bool { return len(w.Days) == 0 || slices.Contains(w.Days, (day+7)%7) }
	if w.From < w.To {
		return minute >= w.From && minute < w.To && on(day)
	}
	return minute >= w.From && on(day) || minute < w.To && on(day-1)
}
