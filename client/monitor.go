package client

import (
	"context"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
)

// License is one license that the server has, with the use of it.
type License struct {
	Product    string
	Name       string
	Container  string // serial
	FeatureMap uint32
	Usable     bool
	WhyNot     Code // when not usable
	Total      uint32
	Free       uint32
	Taken      map[Mode]uint32 // handles
	Expiration time.Time       // zero: never
	TMRID      uint32          // zero: not a TMR license
	Status     string          // TMR status line; empty on a plain server

	Refusal   *Error // why it is not usable; nil when it is
	Terms     Terms
	FirstUse  time.Time // zero: not used yet, or not noted
	Until     time.Time // until when it is usable, as is known now; zero: without end
	UnitsLeft *uint64   // nil: not counted by units
	Lingering uint32    // how many of those taken wait for a client to come back

	TakenLicenses map[Mode]uint32   // that living handles take
	TakenTotal    uint32            // licenses in all, with the lingering ones
	Borrowed      uint32            // how many of these are borrowed
	Waiting       uint32            // requests in the queue
	HeldBack      uint32            // of those that are free, for whom a rule names
	TakenByRule   map[string]uint32 // licenses under each rule that counts them; told to administrators
}

// Allocation is one living handle, as those who watch the licenses see it.
type Allocation struct {
	ID          string
	Container   string
	Product     string
	Mode        Mode
	Seat        uint32
	Address     string
	User        string
	Process     uint32
	Application string
	Station     string
	Accesses    uint32 // that use what it Takes: of those that share on a station all, where Takes shows it
	FirstAccess time.Time
	LastAccess  time.Time
	Remaining   time.Duration // until it ends without a renewal
	Expires     time.Time     // the same, by the server's clock
	Licenses    uint32        // that it asked for
	// Takes is how many licenses it takes now: of a station's share handles the
	// first shows what the station takes, and the others 0.
	Takes    uint32
	Idle     time.Duration // how long its program has not used it; 0: in use, or not told
	Borrowed bool
	Rules    []string // that count it
}

// Filter says which handles are wanted; they have to fit all of it.
type Filter struct {
	Product string // empty: of all
	Taking  bool   // only those that take a license
}

// Waiter is somebody who waits for a license.
type Waiter struct {
	Product     string
	Position    uint32 // from 1, in the product's queue
	ID          string // for administrators alone
	Mode        Mode
	Licenses    uint32
	Priority    int32
	Address     string
	User        string
	Process     uint32
	Application string
	Station     string
	Since       time.Time
}

// Probe asks each server once, without trying again: nil when one of them is the
// active one; otherwise what tells most, CodeNotLeader when all that answer are
// standbys, CodeUnavailable when none does.
func (c *Client) Probe(ctx context.Context) error {
	if c.isClosed() {
		return errClosed()
	}
	ctx, cancel := c.bounded(ctx, c.cfg.Wait)
	defer cancel()
	err := c.round(ctx, c.cfg.Attempt, passing, func(ctx context.Context, api quoratev1connect.LicenseServiceClient) error {
		_, err := api.ListLicenses(ctx, connect.NewRequest(&quoratev1.ListLicensesRequest{}))
		return err
	})
	if err != nil {
		return err
	}
	return nil
}

// Licenses gives what the active server has.
func (c *Client) Licenses(ctx context.Context) ([]License, error) {
	ctx, cancel := c.bounded(ctx, c.cfg.Wait)
	defer cancel()
	var licenses []License
	err := c.call(ctx, passing, func(ctx context.Context, api quoratev1connect.LicenseServiceClient) error {
		answer, err := api.ListLicenses(ctx, connect.NewRequest(&quoratev1.ListLicensesRequest{}))
		if err != nil {
			return err
		}
		licenses = make([]License, len(answer.Msg.GetLicenses()))
		for i, m := range answer.Msg.GetLicenses() {
			licenses[i] = licenseFrom(m)
		}
		return nil
	})
	return licenses, err
}

func licenseFrom(m *quoratev1.LicenseUse) License {
	l := License{
		Product: productText(m.GetProduct()), Name: m.GetName(), Container: m.GetContainer(),
		FeatureMap: m.GetFeatureMap(), Usable: m.GetUsable(), WhyNot: Code(m.GetWhyNot()),
		Total: m.GetTotal(), Free: m.GetFree(), Taken: make(map[Mode]uint32, len(m.GetTaken())),
		Expiration: rpc.FromUnixSeconds(m.GetExpirationUnix()), TMRID: m.GetTmrId(), Status: m.GetStatus(),
		Terms: termsFrom(m.GetOptions()), FirstUse: rpc.FromUnixSeconds(m.GetFirstUseUnix()),
		Until: rpc.FromUnixSeconds(m.GetUntilUnix()), UnitsLeft: m.UnitsLeft, Lingering: m.GetLingering(),
	}
	if m.GetRefusal() != nil {
		l.Refusal = failure(rpc.FromErrorInfo(m.GetRefusal()))
	}
	for mode, n := range m.GetTaken() {
		l.Taken[Mode(mode)] = n
	}
	l.TakenLicenses = make(map[Mode]uint32, len(m.GetTakenLicenses()))
	for mode, n := range m.GetTakenLicenses() {
		l.TakenLicenses[Mode(mode)] = n
	}
	l.TakenTotal, l.Borrowed, l.Waiting, l.HeldBack = m.GetTakenTotal(), m.GetBorrowed(), m.GetWaiting(), m.GetHeldBack()
	l.TakenByRule = m.GetTakenByTag()
	return l
}

// mostPages bounds a list, at a thousand handles to a page: a server that never
// comes to an end is none.
const mostPages = 10_000

// Handles gives the living handles, of all products unless a filter says
// otherwise. How much of others' it tells depends on the server, and on
// Config.AdminToken.
func (c *Client) Handles(ctx context.Context, filter ...Filter) ([]Allocation, error) {
	request := &quoratev1.ListHandlesRequest{}
	for _, f := range filter {
		request.TakesLicense = request.TakesLicense || f.Taking
		if f.Product == "" {
			continue
		}
		p, err := license.ParseProduct(f.Product)
		if err != nil {
			return nil, failure(err)
		}
		request.Product = rpc.ProductProto(p)
	}
	ctx, cancel := c.bounded(ctx, c.cfg.Wait)
	defer cancel()
	var allocations []Allocation
	for range mostPages {
		var page *quoratev1.ListHandlesResponse
		err := c.call(ctx, passing, func(ctx context.Context, api quoratev1connect.LicenseServiceClient) error {
			answer, err := api.ListHandles(ctx, authorized(c, request))
			if err == nil {
				page = answer.Msg
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, m := range page.GetHandles() {
			allocations = append(allocations, allocationFrom(m))
		}
		if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
			return allocations, nil
		}
	}
	return nil, &Error{Code: CodeInternal, Message: "the license server's list of handles has no end", Fix: "ask for one product"}
}

// Waiting gives the queues, of one product or, when it is empty, of all, in
// order.
func (c *Client) Waiting(ctx context.Context, product string) ([]Waiter, error) {
	request := &quoratev1.ListWaitingRequest{}
	if product != "" {
		p, err := license.ParseProduct(product)
		if err != nil {
			return nil, failure(err)
		}
		request.Product = rpc.ProductProto(p)
	}
	ctx, cancel := c.bounded(ctx, c.cfg.Wait)
	defer cancel()
	var waiters []Waiter
	err := c.call(ctx, passing, func(ctx context.Context, api quoratev1connect.LicenseServiceClient) error {
		answer, err := api.ListWaiting(ctx, authorized(c, request))
		if err != nil {
			return err
		}
		waiters = make([]Waiter, len(answer.Msg.GetWaiting()))
		for i, m := range answer.Msg.GetWaiting() {
			mode, _ := rpc.ModeFrom(m.GetMode())
			waiters[i] = Waiter{
				Product: productText(m.GetProduct()), Position: m.GetPosition(), ID: m.GetId(), Mode: Mode(mode),
				Licenses: m.GetLicenses(), Priority: m.GetPriority(), Address: m.GetClient().GetAddress(), User: m.GetClient().GetUser(),
				Process: m.GetClient().GetProcess(), Application: m.GetClient().GetApplication(), Station: m.GetClient().GetStation(),
				Since: fromMillis(m.GetSinceMs()),
			}
		}
		return nil
	})
	return waiters, err
}

// Ask asks the holder of a handle to release it: his program gets a Notice with
// text, which may be empty, and by. Servers let administrators ask, and may let
// everybody, not too often.
func (c *Client) Ask(ctx context.Context, product, id, text, by string) error {
	p, err := license.ParseProduct(product)
	if err != nil {
		return failure(err)
	}
	ctx, cancel := c.bounded(ctx, c.cfg.Wait)
	defer cancel()
	return c.call(ctx, passing, func(ctx context.Context, api quoratev1connect.LicenseServiceClient) error {
		_, err := api.AskRelease(ctx, authorized(c, &quoratev1.AskReleaseRequest{
			Product: rpc.ProductProto(p), Id: id, Text: text, By: by,
		}))
		return err
	})
}

// authorized sends the administrator token along, if there is one.
func authorized[T any](c *Client, m *T) *connect.Request[T] {
	r := connect.NewRequest(m)
	if c.cfg.AdminToken != "" {
		r.Header().Set("Authorization", "Bearer "+c.cfg.AdminToken)
	}
	return r
}

func allocationFrom(m *quoratev1.HandleInfo) Allocation {
	mode, _ := rpc.ModeFrom(m.GetMode())
	return Allocation{
		ID: m.GetId(), Container: m.GetContainer(), Product: productText(m.GetProduct()), Mode: Mode(mode),
		Seat: m.GetSeat(), Address: m.GetClient().GetAddress(), User: m.GetClient().GetUser(),
		Process: m.GetClient().GetProcess(), Application: m.GetClient().GetApplication(),
		Station: m.GetClient().GetStation(), Accesses: m.GetAccesses(),
		FirstAccess: time.UnixMilli(m.GetFirstAccessMs()), LastAccess: time.UnixMilli(m.GetLastAccessMs()),
		Remaining: time.Duration(m.GetRemainingMs()) * time.Millisecond, Expires: fromMillis(m.GetExpiresMs()),
		Licenses: m.GetLicenses(), Takes: m.GetTakes(), Idle: millis(m.GetIdleMs()), Borrowed: m.GetBorrowed(), Rules: m.GetTags(),
	}
}

func productText(m *quoratev1.Product) string {
	return license.Product{
		Firm: license.FirmCode(m.GetFirm()), Code: license.ProductCode(m.GetCode()),
	}.String()
}

// Remove ends somebody else's handle: its license is free at once, and its
// program gets CodeHandleRemoved at its next call. It needs Config.AdminToken,
// or, where the server has none configured, to run on the server's machine. by
// tells who removes it. CodeBorrowed and CodeTooYoung refuse it.
func (c *Client) Remove(ctx context.Context, product, id, by string) error {
	p, err := license.ParseProduct(product)
	if err != nil {
		return failure(err)
	}
	ctx, cancel := c.bounded(ctx, c.cfg.Wait)
	defer cancel()
	return c.call(ctx, passing, func(ctx context.Context, api quoratev1connect.LicenseServiceClient) error {
		_, err := api.RemoveHandle(ctx, authorized(c, &quoratev1.RemoveHandleRequest{Product: rpc.ProductProto(p), Id: id, By: by}))
		return err
	})
}
