package license

// MostRecent is how many of the last takings a Meter remembers, so that a
// repeated request takes once.
const MostRecent = 128

// Meter is what was taken of a product's units under one issue, as a TMR
// group's backends keep it: the higher (Epoch, Units) of one issue is the later.
type Meter struct {
	Product Product
	Issue   uint32
	Epoch   uint64 // of the leader that wrote it
	Units   uint64
	Recent  []Taken // the oldest first, at most MostRecent
}

// Taken is one taking of units.
type Taken struct {
	Request string // its id, chosen by the program
	Units   uint64
}
