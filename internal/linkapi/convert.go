package linkapi

import (
	"fmt"
	"math"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/history"
	"github.com/quorate/quorate/internal/platform/links"
	"github.com/quorate/quorate/internal/platform/rulesets"
	"github.com/quorate/quorate/internal/platform/tasks"
	"github.com/quorate/quorate/internal/platform/views"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// mostSigned bounds what one backend signed, in bytes.
const mostSigned = 1 << 20

// workProto makes the message of a work item.
func workProto(w tasks.LinkWork) (*quoratev1.Work, error) {
	m := &quoratev1.Work{Id: w.ID, Traceparent: w.Trace}
	switch w.Kind {
	case tasks.WorkCollect:
		m.Kind = &quoratev1.Work_Collect{Collect: &quoratev1.CollectWork{Nonce: w.Nonce}}
	case tasks.WorkStage:
		m.Kind = &quoratev1.Work_Stage{Stage: &quoratev1.StageWork{Updates: updatesProto(w.Updates)}}
	case tasks.WorkGuard:
		m.Kind = &quoratev1.Work_Guard{Guard: &quoratev1.GuardWork{Position: uint32(w.Position), Nonce: w.Nonce}}
	case tasks.WorkActivate:
		if len(w.Updates) != 1 {
			return nil, fmt.Errorf("work item %s activates %d updates", w.ID, len(w.Updates))
		}
		m.Kind = &quoratev1.Work_Activate{Activate: &quoratev1.ActivateWork{
			Position: uint32(w.Position), Update: updatesProto(w.Updates)[0],
		}}
	case tasks.WorkVerify:
		v := &quoratev1.VerifyWork{Position: uint32(w.Position), SettleMs: uint32(w.Settle.Milliseconds())}
		for _, e := range w.Expect {
			v.Expect = append(v.Expect, &quoratev1.ProductTMRID{Product: rpc.ProductProto(e.Product), TmrId: e.TMRID})
		}
		m.Kind = &quoratev1.Work_Verify{Verify: v}
	case tasks.WorkRemove:
		m.Kind = &quoratev1.Work_Remove{Remove: &quoratev1.RemoveWork{
			Product: rpc.ProductProto(w.Product), Handle: w.Handle, By: w.By,
		}}
	case tasks.WorkAsk:
		m.Kind = &quoratev1.Work_Ask{Ask: &quoratev1.AskWork{
			Product: rpc.ProductProto(w.Product), Handle: w.Handle, By: w.By, Text: w.Text,
		}}
	default:
		return nil, fmt.Errorf("work item %s has the unknown kind %s", w.ID, w.Kind)
	}
	return m, nil
}

func updatesProto(all []tasks.BackendUpdate) []*quoratev1.BackendUpdate {
	out := make([]*quoratev1.BackendUpdate, len(all))
	for i, u := range all {
		out[i] = &quoratev1.BackendUpdate{Position: uint32(u.Position), Update: u.Update, Digest: u.Digest}
	}
	return out
}

// fit keeps as many work items as one message takes, and at least one: the
// others stay due.
func fit(res *quoratev1.PullResponse) *quoratev1.PullResponse {
	size := 0
	for i, w := range res.GetWork() {
		size += proto.Size(w) + 16
		if i > 0 && size > rpc.MostMessage {
			res.Work = res.Work[:i]
			break
		}
	}
	return res
}

func reportFrom(m *quoratev1.ReportRequest) (tasks.LinkReport, error) {
	r := tasks.LinkReport{WorkID: m.GetWorkId(), Receipt: m.GetReceipt()}
	if r.WorkID == "" || len(r.WorkID) > 64 {
		return r, invalid("the report names no work item")
	}
	if err := rpc.FromErrorInfo(m.GetError()); err != nil {
		r.Failed = license.Public(err)
		return tasks.LinkReport{WorkID: r.WorkID, Failed: r.Failed}, nil
	}
	if len(r.Receipt) > mostSigned {
		return r, invalid("the receipt has %d bytes", len(r.Receipt))
	}
	var err error
	if r.Fingerprints, err = backendBytesFrom(m.GetFingerprints()); err != nil {
		return r, err
	}
	r.Statements, err = backendBytesFrom(m.GetStatements())
	return r, err
}

func backendBytesFrom(ms []*quoratev1.BackendBytes) ([]tasks.BackendBytes, error) {
	if len(ms) > license.Backends {
		return nil, invalid("%d backends are reported", len(ms))
	}
	var out []tasks.BackendBytes
	for _, m := range ms {
		if p := m.GetPosition(); p < 1 || p > license.Backends || len(m.GetData()) > mostSigned {
			return nil, invalid("backend %d with %d bytes is reported", p, len(m.GetData()))
		}
		out = append(out, tasks.BackendBytes{Position: int(m.GetPosition()), Data: m.GetData()})
	}
	return out, nil
}

func pushFrom(m *quoratev1.PushRequest) (links.LinkPush, error) {
	push := links.LinkPush{Leading: m.GetLeading(), EventsAfter: m.GetEventsAfter()}
	push.Epoch, push.Clients = m.GetEpoch(), int(m.GetClients())
	if len(m.GetViews()) > views.MostViews || len(m.GetEvents()) > history.MostLeaseEvents || len(m.GetHealth()) > license.Backends {
		return push, license.Errorf(license.CodeTooLarge, "push less at once",
			"%d views, %d events and %d backends are too much for one push", len(m.GetViews()), len(m.GetEvents()), len(m.GetHealth()))
	}
	if n := len(m.GetActivity()); n > history.MostActivity {
		return push, license.Errorf(license.CodeTooLarge, "push less at once", "the use of %d handles is too much for one push", n)
	}
	for _, a := range m.GetActivity() {
		push.Activity = append(push.Activity, history.HandleActivity{
			Handle: a.GetHandle(), Accesses: a.GetAccesses(),
			LastAccess: millis(a.GetLastAccessMs()), Idle: millis(a.GetIdleMs()), Expires: millis(a.GetExpiresMs()),
		})
	}
	var err error
	if push.Served, err = servedFrom(m.GetServed()); err != nil {
		return push, err
	}
	if r := m.GetRules(); r != nil {
		push.Rules = &rulesets.RulesStatus{Digest: r.GetDigest(), Own: r.GetOwnFile(), Problem: r.GetProblem()}
	}
	if t := m.GetProcess(); t != nil {
		push.Process = &links.ProcessStatus{Version: t.GetVersion(), Running: millis(t.GetRunningMs()), RoundTrip: millis(int64(t.GetRoundTripMs()))}
	}
	for _, v := range m.GetViews() {
		view, at, err := rpc.ViewFrom(v)
		if err != nil {
			return push, err
		}
		push.Views = append(push.Views, views.PushedView{View: view, At: at})
	}
	for _, e := range m.GetEvents() {
		push.Events = append(push.Events, eventFrom(e))
	}
	for _, b := range m.GetHealth() {
		h, err := rpc.HealthFrom(b)
		if err != nil {
			return push, err
		}
		push.Health = append(push.Health, views.BackendHealth{
			Position: h.Position, Serial: h.Serial.String(), Address: h.Address, Presence: h.Presence, SeenAt: h.Seen,
		})
	}
	return push, nil
}

// millis never overflows, whatever a server tells.
func millis(ms int64) time.Duration {
	const most = int64(math.MaxInt64 / time.Millisecond)
	return time.Duration(min(max(ms, 0), most)) * time.Millisecond
}

// servedFrom gives nil only where nothing is told.
func servedFrom(m *quoratev1.ServedLicenses) ([]links.ServedLicense, error) {
	if m == nil {
		return nil, nil
	}
	if n := len(m.GetLicenses()); n > links.MostServed {
		return nil, license.Errorf(license.CodeTooLarge, "push at most 512 licenses", "%d licenses are too many for one container", n)
	}
	all := make([]links.ServedLicense, 0, len(m.GetLicenses()))
	for _, l := range m.GetLicenses() {
		p, err := rpc.ProductFrom(l.GetProduct())
		if err != nil {
			return nil, err
		}
		all = append(all, links.ServedLicense{Product: p, Name: l.GetName(), Quantity: l.GetQuantity(), FeatureMap: l.GetFeatureMap(), Reason: license.Code(l.GetReason())})
	}
	return all, nil
}

// eventFrom never refuses: one odd event must not stop the stream behind it.
// The use case passes over what it can't make sense of.
func eventFrom(m *quoratev1.LeaseEvent) history.LeaseEvent {
	c := m.GetClient()
	e := history.LeaseEvent{
		Position: m.GetPosition(), Kind: history.LeaseEventKind(m.GetKind()), At: time.UnixMilli(m.GetAtMs()).UTC(),
		Handle: m.GetHandle(), Seat: m.GetSeat(), N: m.GetN(), Reason: license.Code(m.GetReason()), By: m.GetBy(),
		Client: c.GetAddress(), User: c.GetUser(), Station: c.GetStation(),
		Process: c.GetProcess(), Application: c.GetApplication(),
		Licenses: max(m.GetLicenses(), 1), Rule: m.GetRule(), Seq: m.GetSeq(),
		Borrowed: m.GetBorrowed(),
	}
	if p, err := rpc.ProductFrom(m.GetProduct()); err == nil {
		e.Product = p
	}
	if mode, err := rpc.ModeFrom(m.GetMode()); err == nil {
		e.Mode = mode
	}
	return e
}

func invalid(format string, args ...any) error {
	return license.Errorf(license.CodeInvalidInput, "use the same version of Quorate on both sides", format, args...)
}
