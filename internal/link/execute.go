package link

import (
	"context"
	"time"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// execute does one item and gives its report, without the id.
func (a *Agent) execute(ctx context.Context, w *quoratev1.Work) (*quoratev1.ReportRequest, error) {
	report := new(quoratev1.ReportRequest)
	switch kind := w.GetKind().(type) {
	case *quoratev1.Work_Remove:
		return report, a.remove(ctx, kind.Remove)
	case *quoratev1.Work_Ask:
		return report, a.ask(ctx, w.GetId(), kind.Ask)
	case nil:
		return nil, license.Errorf(license.CodeFormatUnknown, "upgrade this server",
			"the platform asks for work that this server does not know")
	}
	if a.conf.Executor == nil {
		return nil, license.Errorf(license.CodeInvalidInput, "send it to a TMR server",
			"this server has no backends")
	}
	switch kind := w.GetKind().(type) {
	case *quoratev1.Work_Collect:
		fingerprints, err := a.conf.Executor.Collect(ctx, kind.Collect.GetNonce())
		report.Fingerprints = backendBytes(fingerprints)
		return report, err
	case *quoratev1.Work_Stage:
		return report, a.conf.Executor.Stage(ctx, kind.Stage.GetUpdates())
	case *quoratev1.Work_Guard:
		statements, err := a.conf.Executor.Statements(ctx, int(kind.Guard.GetPosition()), kind.Guard.GetNonce())
		report.Statements = backendBytes(statements)
		return report, err
	case *quoratev1.Work_Activate:
		receipt, err := a.conf.Executor.Activate(ctx, int(kind.Activate.GetPosition()), kind.Activate.GetUpdate())
		report.Receipt = receipt
		return report, err
	case *quoratev1.Work_Verify:
		return report, a.verify(ctx, kind.Verify)
	}
	return nil, license.Errorf(license.CodeFormatUnknown, "upgrade this server",
		"the platform asks for work that this server does not know")
}

func (a *Agent) verify(ctx context.Context, w *quoratev1.VerifyWork) error {
	expect := make(map[license.Product]uint32, len(w.GetExpect()))
	for _, e := range w.GetExpect() {
		p, err := rpc.ProductFrom(e.GetProduct())
		if err != nil {
			return err
		}
		expect[p] = e.GetTmrId()
	}
	return a.conf.Executor.Verify(ctx, int(w.GetPosition()), expect, time.Duration(w.GetSettleMs())*time.Millisecond)
}

// remove takes a handle that is gone already as removed: it may be the second
// time that this work is done.
func (a *Agent) remove(ctx context.Context, w *quoratev1.RemoveWork) error {
	if a.conf.Remove == nil {
		return license.Errorf(license.CodeInvalidInput, "send it to the server that holds the handle",
			"this server has no handles")
	}
	p, err := rpc.ProductFrom(w.GetProduct())
	if err != nil {
		return err
	}
	err = a.conf.Remove(ctx, p, w.GetHandle(), w.GetBy())
	switch license.CodeOf(err) {
	case license.CodeHandleUnknown, license.CodeHandleRemoved, license.CodeHandleExpired:
		return nil
	}
	return err
}

// ask names the notice by its work: done twice it is the same one.
func (a *Agent) ask(ctx context.Context, id string, w *quoratev1.AskWork) error {
	if a.conf.Ask == nil {
		return license.Errorf(license.CodeInvalidInput, "send it to the server that holds the handle",
			"this server has no handles")
	}
	p, err := rpc.ProductFrom(w.GetProduct())
	if err != nil {
		return err
	}
	return a.conf.Ask(ctx, p, w.GetHandle(), lease.Notice{ID: id, Text: w.GetText(), By: w.GetBy()})
}

func backendBytes(all [license.Backends][]byte) []*quoratev1.BackendBytes {
	var out []*quoratev1.BackendBytes
	for i, b := range all {
		if b != nil {
			out = append(out, &quoratev1.BackendBytes{Position: uint32(i + 1), Data: b})
		}
	}
	return out
}
