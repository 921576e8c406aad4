package client

import (
	"encoding/json"
	"time"
)

// Shortage is what errors.As finds in a refusal because others have the
// licenses: CodeNoFreeSeat, CodeQueued, CodeLimitReached and CodeStationBusy.
//
//	var short *client.Shortage
//	if errors.As(err, &short) { fmt.Println(short.Taken, "of", short.Quantity) }
type Shortage struct {
	Refusal *Error

	Taken    uint32 // of a limit, under it
	Quantity uint32 // of a limit, the most that it allows
	Limit    string // the rule that refused; empty: none did
	HeldBack uint32 // for others, by a rule
	Waiting  uint32 // in the queue, this program among them where it waits
	Position uint32 // in the queue, from 1; 0: not there
	// NextFree is when the next license is free unless its program renews it; 0:
	// not known.
	NextFree time.Duration
	// Holders are some of those who have the licenses, the longest idle first:
	// as far as this program may know, so perhaps none. HoldersInAll says how
	// many there are.
	Holders      []Holder
	HoldersInAll int
}

func (s *Shortage) Error() string { return s.Refusal.Error() }

// Unwrap gives the refusal.
func (s *Shortage) Unwrap() error { return s.Refusal }

// Holder is somebody who has a license. What this program may not know is empty.
type Holder struct {
	Handle      string        `json:"handle"` // for Ask, and for administrators
	Host        string        `json:"host"`
	User        string        `json:"user"`
	Application string        `json:"application"`
	Station     string        `json:"station"`
	Licenses    uint32        `json:"licenses"`
	Borrowed    bool          `json:"borrowed"`
	Idle        time.Duration `json:"-"` // how long his program has not used it; 0: in use, or not told
	Remaining   time.Duration `json:"-"` // of a borrowed one
}

// As finds a Shortage.
func (e *Error) As(target any) bool {
	out, ok := target.(**Shortage)
	if !ok {
		return false
	}
	switch e.Code {
	case CodeNoFreeSeat, CodeQueued, CodeLimitReached, CodeStationBusy:
	default:
		return false
	}
	*out = e.shortage()
	return true
}

// details are the figures as servers send them.
type details struct {
	Taken        uint32 `json:"taken"`
	Quantity     uint32 `json:"quantity"`
	Most         uint32 `json:"most"`
	Limit        string `json:"limit"`
	HeldBack     uint32 `json:"heldBack"`
	Waiting      uint32 `json:"waiting"`
	Position     uint32 `json:"position"`
	NextExpiryMS int64  `json:"nextExpiryMs"`
	HoldersInAll int    `json:"holdersInAll"`
	Holders      []struct {
		Holder

		IdleMS      int64 `json:"idleMs"`
		RemainingMS int64 `json:"remainingMs"`
	} `json:"holders"`
}

// shortage reads what it can: a server of another version may send other
// figures.
func (e *Error) shortage() *Shortage {
	var d details
	if raw, err := json.Marshal(e.Details); err == nil {
		_ = json.Unmarshal(raw, &d) // fills in all fields that fit
	}
	s := &Shortage{
		Refusal: e, Taken: d.Taken, Quantity: max(d.Quantity, d.Most), Limit: d.Limit, HeldBack: d.HeldBack, Waiting: d.Waiting,
		Position: d.Position, NextFree: millis(d.NextExpiryMS), HoldersInAll: d.HoldersInAll,
	}
	for _, h := range d.Holders {
		h.Idle, h.Remaining = millis(h.IdleMS), millis(h.RemainingMS)
		s.Holders = append(s.Holders, h.Holder)
	}
	return s
}

func (e *Error) place() Place {
	s := e.shortage()
	return Place{Position: s.Position, Waiting: s.Waiting, NextFree: s.NextFree}
}

func millis(n int64) time.Duration { return time.Duration(max(0, n)) * time.Millisecond }
