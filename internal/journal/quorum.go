package journal

import "time"

// Freshness is how old a confirmation by two journals may be, strictly: counted
// from before they were asked.
const Freshness = 2 * time.Second
