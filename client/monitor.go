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
	Taken      map[Mode]uint32
	Expiration time.Time // zero: never
	TMRID      uint32    // zero: not a TMR license
	Status     string    // TMR status line; empty on a plain server

	Refusal   *Error // why it is not usable; nil when it is
	Terms     Terms
	FirstUse  time.Time // zero: not used yet, or not noted
	Until     time.Time // until when it is usable, as is known now; zero: without end
	UnitsLeft *uint64   // nil: not counted by units
	Lingering uint32    // how many of those taken wait for a client to come back
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
	Accesses    uint32
	FirstAccess time.Time
	LastAccess  time.Time
	Remaining   time.Duration // until it ends without a renewal
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
	return l
}

// Handles gives the living handles of all products. Who uses them is told in full
// with Config.AdminToken, else as far as the server discloses it.
func (c *Client) Handles(ctx context.Context) ([]Allocation, error) {
	ctx, cancel := c.bounded(ctx, c.cfg.Wait)
	defer cancel()
	var allocations []Allocation
	err := c.call(ctx, passing, func(ctx context.Context, api quoratev1connect.LicenseServiceClient) error {
		answer, err := api.ListHandles(ctx, administered(c, &quoratev1.ListHandlesRequest{}))
		if err != nil {
			return err
		}
		allocations = make([]Allocation, len(answer.Msg.GetHandles()))
		for i, m := range answer.Msg.GetHandles() {
			allocations[i] = allocationFrom(m)
		}
		return nil
	})
	return allocations, err
}

func allocationFrom(m *quoratev1.HandleInfo) Allocation {
	mode, _ := rpc.ModeFrom(m.GetMode())
	return Allocation{
		ID: m.GetId(), Container: m.GetContainer(), Product: productText(m.GetProduct()), Mode: Mode(mode),
		Seat: m.GetSeat(), Address: m.GetClient().GetAddress(), User: m.GetClient().GetUser(),
		Process: m.GetClient().GetProcess(), Application: m.GetClient().GetApplication(),
		Station: m.GetClient().GetStation(), Accesses: m.GetAccesses(),
		FirstAccess: time.UnixMilli(m.GetFirstAccessMs()), LastAccess: time.UnixMilli(m.GetLastAccessMs()),
		Remaining: time.Duration(m.GetRemainingMs()) * time.Millisecond,
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
// tells who removes it.
func (c *Client) Remove(ctx context.Context, product, id, by string) error {
	p, err := license.ParseProduct(product)
	if err != nil {
		return failure(err)
	}
	ctx, cancel := c.bounded(ctx, c.cfg.Wait)
	defer cancel()
	return c.call(ctx, passing, func(ctx context.Context, api quoratev1connect.LicenseServiceClient) error {
		_, err := api.RemoveHandle(ctx, administered(c, &quoratev1.RemoveHandleRequest{Product: rpc.ProductProto(p), Id: id, By: by}))
		return err
	})
}

// administered makes a request that carries the administrator's token, where the
// client has one.
func administered[T any](c *Client, m *T) *connect.Request[T] {
	request := connect.NewRequest(m)
	if c.cfg.AdminToken != "" {
		request.Header().Set("Authorization", "Bearer "+c.cfg.AdminToken)
	}
	return request
}
