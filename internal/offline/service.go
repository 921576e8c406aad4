package offline

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
)

// ApplyTime bounds an apply whose caller may be gone.
const ApplyTime = 10 * time.Minute

// Config is what the service needs.
type Config struct {
	Group   Group
	Virtual license.Serial // of the group
	Leading func() bool
	// AdminToken authorizes as bearer. Empty: only peers on the loopback
	// interface may ask.
	AdminToken string
	Settle     time.Duration // 0: DefaultSettle
	Logger     *slog.Logger  // nil: none
}

type service struct {
	conf    Config
	applier *Applier
	log     *slog.Logger
}

// Handler serves AdminService under the path that it gives.
func Handler(c Config) (path string, handler http.Handler) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	s := &service{conf: c, applier: NewApplier(c.Group, c.Virtual, c.Leading, c.Settle), log: c.Logger}
	return quoratev1connect.NewAdminServiceHandler(s, rpc.HandlerOptions(c.Logger))
}

func (s *service) authorize(req connect.AnyRequest) error {
	err := rpc.Administrator(s.conf.AdminToken, req.Header(), req.Peer(), "offline activation")
	if err != nil {
		s.log.Warn("offline activation refused", "peer", req.Peer().Addr, "code", string(license.CodeOf(err)))
	}
	return err
}

// OfflineRequest implements AdminService.
func (s *service) OfflineRequest(
	ctx context.Context, req *connect.Request[quoratev1.OfflineRequestRequest],
) (*connect.Response[quoratev1.OfflineRequestResponse], error) {
	if err := s.authorize(req); err != nil {
		return nil, err
	}
	prints, err := s.applier.Request(ctx)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&quoratev1.OfflineRequestResponse{Virtual: s.conf.Virtual.String(), Fingerprints: prints}), nil
}

// OfflineReceipt implements AdminService.
func (s *service) OfflineReceipt(
	ctx context.Context, req *connect.Request[quoratev1.OfflineReceiptRequest],
) (*connect.Response[quoratev1.OfflineReceiptResponse], error) {
	if err := s.authorize(req); err != nil {
		return nil, err
	}
	receipts, err := s.applier.Receipts(ctx)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&quoratev1.OfflineReceiptResponse{Virtual: s.conf.Virtual.String(), Receipts: receipts}), nil
}

// OfflineApply implements AdminService.
func (s *service) OfflineApply(
	ctx context.Context, req *connect.Request[quoratev1.OfflineApplyRequest], stream *connect.ServerStream[quoratev1.OfflineApplyResponse],
) error {
	if err := s.authorize(req); err != nil {
		return err
	}
	virtual, err := license.ParseSerial(req.Msg.GetVirtual())
	if err != nil {
		return err
	}
	// A caller that goes away must not leave the group half updated.
	work, cancel := context.WithTimeout(context.WithoutCancel(ctx), ApplyTime)
	defer cancel()
	go func() {
		select {
		case <-rpc.Closing(ctx):
			cancel()
		case <-work.Done():
		}
	}()
	send := func(m *quoratev1.OfflineApplyResponse) error {
		m.Status = s.conf.Group.View().Status()
		s.log.Info("offline update", "step", m.GetStep(), "position", m.GetPosition(), "status", m.GetStatus())
		return stream.Send(m)
	}
	var receipts [][]byte
	var done string
	receipts, err = s.applier.Apply(work, virtual, req.Msg.GetUpdates(), func(step Step) {
		if step.Kind == Done {
			done = step.Message
			return // comes last, with the receipts
		}
		_ = send(&quoratev1.OfflineApplyResponse{ // who listens may be gone
			Step: string(step.Kind), Position: uint32(step.Position), Message: step.Message, //nolint:gosec // G115: 0 to 3
		})
	})
	if err != nil {
		s.log.Warn("offline update stopped", "code", string(license.CodeOf(err)), "error", err.Error())
		return err
	}
	return send(&quoratev1.OfflineApplyResponse{
		Step: string(Done), Message: done, Receipts: receipts,
	})
}
