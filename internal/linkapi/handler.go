package linkapi

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/clocks"
	"github.com/quorate/quorate/internal/platform/enrollments"
	"github.com/quorate/quorate/internal/platform/links"
	"github.com/quorate/quorate/internal/platform/tasks"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
)

// Platform are the use cases behind the link. A *platform.Platform has them.
type Platform interface {
	AuthenticateLink(ctx context.Context, token string) (auth.Principal, error)
	Pull(ctx context.Context, leading bool, wait time.Duration) ([]tasks.LinkWork, error)
	Report(ctx context.Context, r tasks.LinkReport) error
	Push(ctx context.Context, push links.LinkPush) (links.LinkPosition, error)
	LinkRules(ctx context.Context) (version uint64, text string, err error)
	CertifyTime(ctx context.Context, questions []clocks.TimeQuestion) ([][]byte, error)
	Enroll(ctx context.Context, e enrollments.Enrolling) (*ent.TmrServer, error)
}

// Handler serves LinkService under the path that it gives.
func Handler(p Platform, logger *slog.Logger, opts ...connect.HandlerOption) (path string, handler http.Handler) {
	return quoratev1connect.NewLinkServiceHandler(&service{platform: p}, append([]connect.HandlerOption{rpc.HandlerOptions(logger)}, opts...)...)
}

type service struct{ platform Platform }

// caller gives ctx with the principal that the bearer token stands for. A
// server that calls itself by another name than the token's was set up with
// somebody else's token.
func (s *service) caller(ctx context.Context, h http.Header, name string) (context.Context, error) {
	ctx, err := s.anyCaller(ctx, h)
	if err != nil {
		return nil, err
	}
	who, err := auth.From(ctx)
	if err == nil && name != who.Name {
		return nil, license.Errorf(license.CodeForbidden, "give each server its own name and token",
			"the link token is of the server %q", who.Name)
	}
	return ctx, err
}

func (s *service) anyCaller(ctx context.Context, h http.Header) (context.Context, error) {
	scheme, token, _ := strings.Cut(h.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return nil, license.Errorf(license.CodeUnauthenticated,
			"send the server's link token as \"Authorization: Bearer …\"", "there is no link token")
	}
	who, err := s.platform.AuthenticateLink(ctx, strings.TrimSpace(token))
	if err != nil {
		return nil, err
	}
	return auth.With(ctx, who), nil
}

// Pull implements LinkService.
func (s *service) Pull(ctx context.Context, req *connect.Request[quoratev1.PullRequest]) (*connect.Response[quoratev1.PullResponse], error) {
	ctx, err := s.caller(ctx, req.Header(), req.Msg.GetServer())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // a platform that shuts down doesn't wait for those who wait
		select {
		case <-rpc.Closing(ctx):
			cancel()
		case <-ctx.Done():
		}
	}()
	due, err := s.platform.Pull(ctx, req.Msg.GetLeading(), time.Duration(req.Msg.GetWaitMs())*time.Millisecond)
	if err != nil {
		return nil, err
	}
	res := &quoratev1.PullResponse{}
	for _, w := range due {
		m, err := workProto(w)
		if err != nil {
			return nil, err
		}
		res.Work = append(res.Work, m)
	}
	return connect.NewResponse(fit(res)), nil
}

// Report implements LinkService.
func (s *service) Report(ctx context.Context, req *connect.Request[quoratev1.ReportRequest]) (*connect.Response[quoratev1.ReportResponse], error) {
	// A report names no server: the work item tells whose it is.
	ctx, err := s.anyCaller(ctx, req.Header())
	if err != nil {
		return nil, err
	}
	r, err := reportFrom(req.Msg)
	if err != nil {
		return nil, err
	}
	if err := s.platform.Report(ctx, r); err != nil {
		return nil, err
	}
	return connect.NewResponse(&quoratev1.ReportResponse{}), nil
}

// Push implements LinkService.
func (s *service) Push(ctx context.Context, req *connect.Request[quoratev1.PushRequest]) (*connect.Response[quoratev1.PushResponse], error) {
	ctx, err := s.caller(ctx, req.Header(), req.Msg.GetServer())
	if err != nil {
		return nil, err
	}
	push, err := pushFrom(req.Msg)
	if err != nil {
		return nil, err
	}
	at, err := s.platform.Push(ctx, push)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&quoratev1.PushResponse{
		ViewVersion: at.ViewVersion, EventPosition: at.EventPosition, RulesDigest: at.RulesDigest,
	}), nil
}

// Rules implements LinkService.
func (s *service) Rules(ctx context.Context, req *connect.Request[quoratev1.RulesRequest]) (*connect.Response[quoratev1.RulesResponse], error) {
	ctx, err := s.caller(ctx, req.Header(), req.Msg.GetServer())
	if err != nil {
		return nil, err
	}
	version, text, err := s.platform.LinkRules(ctx)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&quoratev1.RulesResponse{Version: version, Text: text}), nil
}

// Enroll implements LinkService. The code is all that the caller has to show.
func (s *service) Enroll(ctx context.Context, req *connect.Request[quoratev1.EnrollRequest]) (*connect.Response[quoratev1.EnrollResponse], error) {
	from := req.Peer().Addr
	if host, _, err := net.SplitHostPort(from); err == nil {
		from = host
	}
	server, err := s.platform.Enroll(ctx, enrollments.Enrolling{
		Code: req.Msg.GetCode(), Name: req.Msg.GetServer(), Serial: req.Msg.GetSerial(), Digest: req.Msg.GetTokenDigest(), From: from,
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&quoratev1.EnrollResponse{Server: server.Name}), nil
}
