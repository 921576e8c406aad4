package clienttools

import (
	"strings"
	"time"

	"github.com/quorate/quorate/client"
)

type listedLicense struct {
	Product    string            `json:"product"`
	Firm       string            `json:"firm"`
	Code       string            `json:"code"`
	Name       string            `json:"name"`
	Container  string            `json:"container"`
	FeatureMap uint32            `json:"featureMap"`
	Usable     bool              `json:"usable"`
	WhyNot     string            `json:"whyNot,omitempty"`
	Total      uint32            `json:"total"`
	Free       uint32            `json:"free"`
	Taken      map[string]uint32 `json:"taken"` // handles
	Expiration *time.Time        `json:"expiration,omitempty"`
	TMRID      uint32            `json:"tmrId,omitempty"`
	Status     string            `json:"status,omitempty"`
	Handles    []listedHandle    `json:"handles"`

	Refusal   *listedRefusal `json:"refusal,omitempty"` // when not usable
	Options   *listedOptions `json:"options"`
	FirstUse  *time.Time     `json:"firstUse,omitempty"`
	Until     *time.Time     `json:"until,omitempty"`
	UnitsLeft *uint64        `json:"unitsLeft,omitempty"`
	Lingering uint32         `json:"lingering,omitempty"`

	TakenLicenses map[string]uint32 `json:"takenLicenses"`
	TakenTotal    uint32            `json:"takenTotal"` // with those that linger
	TakenByRule   map[string]uint32 `json:"takenByRule,omitempty"`
	Borrowed      uint32            `json:"borrowed"`
	BorrowedBy    map[string]uint32 `json:"borrowedByMode,omitempty"`
	Waiting       uint32            `json:"waiting"`
	HeldBack      uint32            `json:"heldBack,omitempty"`
}

type listedHandle struct {
	ID          string     `json:"id"`
	Product     string     `json:"product"`
	Container   string     `json:"container"`
	Client      string     `json:"client"`
	User        string     `json:"user"`
	Station     string     `json:"station"`
	Process     uint32     `json:"process"`
	Application string     `json:"application"`
	Mode        string     `json:"mode"`
	Seat        uint32     `json:"seat"`
	Licenses    uint32     `json:"licenses"`
	Takes       uint32     `json:"takes"`
	Borrowed    bool       `json:"borrowed,omitempty"`
	Accesses    uint32     `json:"accesses"`
	FirstAccess time.Time  `json:"firstAccess"`
	LastAccess  time.Time  `json:"lastAccess"`
	RemainingMS int64      `json:"remainingMs"`
	Expires     *time.Time `json:"expires,omitempty"`
	IdleMS      int64      `json:"idleMs,omitempty"`
	Rules       []string   `json:"rules,omitempty"`
}

type listedWaiter struct {
	Product     string    `json:"product"`
	Position    uint32    `json:"position"`
	ID          string    `json:"id,omitempty"`
	Client      string    `json:"client"`
	User        string    `json:"user"`
	Station     string    `json:"station"`
	Process     uint32    `json:"process"`
	Application string    `json:"application"`
	Mode        string    `json:"mode"`
	Licenses    uint32    `json:"licenses"`
	Priority    int32     `json:"priority"`
	Since       time.Time `json:"since"`
}

func byMode(m map[client.Mode]uint32) map[string]uint32 {
	out := make(map[string]uint32, len(m))
	for mode, n := range m {
		out[string(mode)] = n
	}
	return out
}

func listing(licenses []client.License, handles []client.Allocation) []listedLicense {
	of := map[string][]client.Allocation{}
	for _, h := range handles {
		of[h.Product] = append(of[h.Product], h)
	}
	out := make([]listedLicense, 0, len(licenses))
	for _, l := range licenses {
		v := listedLicense{
			Product: l.Product, Name: l.Name, Container: l.Container, FeatureMap: l.FeatureMap,
			Usable: l.Usable, WhyNot: string(l.WhyNot), Total: l.Total, Free: l.Free,
			Taken: byMode(l.Taken), Expiration: stamped(l.Expiration), TMRID: l.TMRID, Status: l.Status, Handles: handleList(of[l.Product]),
			Options: listedTerms(l.Terms), FirstUse: stamped(l.FirstUse), Until: stamped(l.Until),
			UnitsLeft: l.UnitsLeft, Lingering: l.Lingering,
			TakenLicenses: byMode(l.TakenLicenses), TakenTotal: l.TakenTotal, TakenByRule: l.TakenByRule, Borrowed: l.Borrowed,
			BorrowedBy: byMode(borrowedBy(l.Product, of[l.Product])), Waiting: l.Waiting, HeldBack: l.HeldBack,
		}
		v.Firm, v.Code, _ = strings.Cut(l.Product, ":")
		if l.Refusal != nil {
			v.Refusal = new(listedError(l.Refusal))
		}
		out = append(out, v)
	}
	return out
}

func handleList(handles []client.Allocation) []listedHandle {
	out := make([]listedHandle, len(handles))
	for i, h := range handles {
		out[i] = listedHandle{
			ID: h.ID, Product: h.Product, Container: h.Container, Client: h.Address, User: h.User, Station: h.Station,
			Process: h.Process, Application: h.Application, Mode: string(h.Mode), Seat: h.Seat, Licenses: h.Licenses, Takes: h.Takes,
			Borrowed: h.Borrowed, Accesses: h.Accesses, FirstAccess: h.FirstAccess, LastAccess: h.LastAccess,
			RemainingMS: h.Remaining.Milliseconds(), Expires: stamped(h.Expires), IdleMS: h.Idle.Milliseconds(), Rules: h.Rules,
		}
	}
	return out
}

func waitingList(waiting []client.Waiter) []listedWaiter {
	out := make([]listedWaiter, len(waiting))
	for i, q := range waiting {
		out[i] = listedWaiter{
			Product: q.Product, Position: q.Position, ID: q.ID, Client: q.Address, User: q.User, Station: q.Station, Process: q.Process,
			Application: q.Application, Mode: string(q.Mode), Licenses: q.Licenses, Priority: q.Priority, Since: q.Since,
		}
	}
	return out
}
