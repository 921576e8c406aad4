package client

import (
	"context"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
)

// Terms are the options of a license. A zero value is no such limit.
type Terms struct {
	Quantity         uint32 // zero: only for programs on the license server's machine
	TMRID            uint32 // zero: not a TMR license
	Activation       time.Time
	Expiration       time.Time
	UsagePeriod      time.Duration // from the first use
	Units            *uint64       // in all; nil: not counted
	FeatureMap       uint32
	MaintenanceFrom  time.Time // first release date that is covered
	MaintenanceUntil time.Time // last one
	MinimumVersion   string
	Text             string
	Linger           time.Duration
	ProtectedData    bool // Handle.Data gives it
	SecretData       bool // Handle.Derive uses it
}

func termsFrom(m *quoratev1.Options) Terms {
	t := Terms{
		Quantity: m.GetQuantity(), TMRID: m.GetTmrId(),
		Activation: rpc.FromUnixSeconds(m.GetActivationUnix()), Expiration: rpc.FromUnixSeconds(m.GetExpirationUnix()),
		UsagePeriod: time.Duration(m.GetUsagePeriodS()) * time.Second, FeatureMap: m.GetFeatureMap(),
		MaintenanceFrom:  rpc.FromUnixSeconds(m.GetMaintenanceFromUnix()),
		MaintenanceUntil: rpc.FromUnixSeconds(m.GetMaintenanceUntilUnix()),
		MinimumVersion:   m.GetMinimumVersion(), Text: m.GetText(),
		Linger:        time.Duration(m.GetLingerS()) * time.Second,
		ProtectedData: len(m.GetProtected()) > 0, SecretData: len(m.GetSecret()) > 0,
	}
	if m != nil && m.Units != nil {
		t.Units = new(m.GetUnits())
	}
	return t
}

// Licensed is what a handle's license allows.
type Licensed struct {
	Terms
	// Until is when it ends, as is known now; zero: it doesn't. An update may
	// change it.
	Until time.Time
	// UnitsLeft is nil where units aren't counted, or nobody can tell now. Other
	// programs take of them, too.
	UnitsLeft *uint64
}

// License tells of the handle's license, as the server told last: at the access,
// at each renewal, and of units at each Consume.
func (h *Handle) License() Licensed {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.terms.clone()
}

func (l Licensed) clone() Licensed {
	l.Units, l.UnitsLeft = copied(l.Units), copied(l.UnitsLeft)
	return l
}

func copied(n *uint64) *uint64 {
	if n == nil {
		return nil
	}
	return new(*n)
}

// Consume takes n units of a license that counts them, all or none, and says how
// many are left. It tries on like OpenKey, and however often it has to, it takes
// them once; only when it ends with CodeUnavailable or CodeNoMajority, or the
// handle dies meanwhile, they may be taken or not. Where fewer are left it takes
// none: CodeNoUnits.
func (h *Handle) Consume(ctx context.Context, n uint64) (left uint64, err error) {
	id := uuid.NewString()
	err = h.use(ctx, func(ctx context.Context, api quoratev1connect.LicenseServiceClient) error {
		answer, err := api.ConsumeUnits(ctx, connect.NewRequest(&quoratev1.ConsumeUnitsRequest{
			Token: h.currentToken(), RequestId: id, Units: n,
		}))
		if err == nil {
			left = answer.Msg.GetUnitsLeft()
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.terms.UnitsLeft = new(left)
	return left, nil
}

// Data gives the license's protected data: what the vendor put into the license
// for the program. CodeNotFound when there is none.
func (h *Handle) Data(ctx context.Context) (data []byte, err error) {
	err = h.use(ctx, func(ctx context.Context, api quoratev1connect.LicenseServiceClient) error {
		answer, err := api.ReadData(ctx, connect.NewRequest(&quoratev1.ReadDataRequest{Token: h.currentToken()}))
		if err == nil {
			data = answer.Msg.GetData()
		}
		return err
	})
	return data, err
}

// Derive gives a key of 32 bytes that depends on the license's secret data, on
// the product, and on purpose (1 to 4096 bytes): the same for the same three,
// and only for who has a handle. The secret data itself never leaves its
// container. CodeNotFound when there is none.
func (h *Handle) Derive(ctx context.Context, purpose []byte) (key []byte, err error) {
	err = h.use(ctx, func(ctx context.Context, api quoratev1connect.LicenseServiceClient) error {
		answer, err := api.UseSecret(ctx, connect.NewRequest(&quoratev1.UseSecretRequest{
			Token: h.currentToken(), Context: purpose,
		}))
		if err == nil {
			key = answer.Msg.GetKey()
		}
		return err
	})
	return key, err
}

// Explanation says whether a license could be used, and why not.
type Explanation struct {
	Product   string
	Name      string
	Container string // serial
	Usable    bool
	// Reasons are all that refuse it, the most general first; none when it is
	// usable.
	Reasons []*Error
	// Found: there is a license for the product, with these Terms.
	Found     bool
	Terms     Terms
	From      time.Time // since when it is usable, zero: since ever
	Until     time.Time // until when, as is known now; zero: without end
	FirstUse  time.Time // zero: not used yet, or not noted
	UnitsLeft *uint64   // nil: not counted by units
	Free      uint32    // licenses
	Waiting   uint32    // who waits in the queue for one
	HeldBack  uint32    // of those that are free, for others by a rule
	Status    string    // TMR status line; empty on a plain server
	// Now is the time that the license server goes by. Where its clock was set
	// back that is the highest it has seen.
	Now          time.Time
	ClockSetBack bool
	Certified    time.Time // when its time was last certified; zero: never
}

// Err is what Access would fail with; nil when the license is usable.
func (e Explanation) Err() error {
	if len(e.Reasons) == 0 {
		return nil
	}
	return e.Reasons[0]
}

// Why says whether Access with the same options would succeed now, and all
// reasons where not, without taking anything. A seat that lingers for this
// program counts as taken here.
func (c *Client) Why(ctx context.Context, product string, opts ...Option) (Explanation, error) {
	p, err := license.ParseProduct(product)
	if err != nil {
		return Explanation{}, failure(err)
	}
	r := c.request(p, opts)
	ctx, cancel := c.bounded(ctx, c.cfg.Wait)
	defer cancel()
	var out Explanation
	err = c.call(ctx, passing, func(ctx context.Context, api quoratev1connect.LicenseServiceClient) error {
		answer, err := api.Explain(ctx, connect.NewRequest(&quoratev1.ExplainRequest{
			Product: r.GetProduct(), Mode: r.GetMode(), Features: r.GetFeatures(), Client: r.GetClient(),
			ReleaseDateUnix: r.GetReleaseDateUnix(), Version: r.GetVersion(), Licenses: r.GetLicenses(), BorrowMs: r.GetBorrowMs(),
		}))
		if err == nil {
			out = explanationFrom(product, answer.Msg)
		}
		return err
	})
	return out, err
}

func explanationFrom(product string, m *quoratev1.ExplainResponse) Explanation {
	e := Explanation{
		Product: product, Name: m.GetName(), Container: m.GetContainer(), Usable: m.GetUsable(),
		Found: m.GetOptions() != nil, Terms: termsFrom(m.GetOptions()),
		From: rpc.FromUnixSeconds(m.GetFromUnix()), Until: rpc.FromUnixSeconds(m.GetUntilUnix()),
		FirstUse: rpc.FromUnixSeconds(m.GetFirstUseUnix()), UnitsLeft: m.UnitsLeft, Free: m.GetFree(), Waiting: m.GetWaiting(), HeldBack: m.GetHeldBack(),
		Status: m.GetStatus(), Now: fromMillis(m.GetNowMs()), ClockSetBack: m.GetClockSetBack(), Certified: fromMillis(m.GetCertifiedMs()),
	}
	for _, r := range m.GetReasons() {
		e.Reasons = append(e.Reasons, failure(rpc.FromErrorInfo(r)))
	}
	return e
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
