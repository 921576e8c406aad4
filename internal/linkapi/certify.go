package linkapi

import (
	"context"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/platform/clocks"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// latestClock is the last millisecond of the year 9999.
const latestClock = 253402300799_999

// Certify implements LinkService.
func (s *service) Certify(ctx context.Context, req *connect.Request[quoratev1.CertifyRequest]) (*connect.Response[quoratev1.CertifyResponse], error) {
	// A question names no server: the containers are those of the token's.
	ctx, err := s.anyCaller(ctx, req.Header())
	if err != nil {
		return nil, err
	}
	questions, err := questionsFrom(req.Msg.GetQuestions())
	if err != nil {
		return nil, err
	}
	certificates, err := s.platform.CertifyTime(ctx, questions)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&quoratev1.CertifyResponse{Certificates: certificates}), nil
}

func questionsFrom(ms []*quoratev1.TimeQuestion) ([]clocks.TimeQuestion, error) {
	if len(ms) > license.Backends {
		return nil, invalid("the time is asked for %d containers", len(ms))
	}
	var all []clocks.TimeQuestion
	for _, m := range ms {
		q := clocks.TimeQuestion{SetBack: m.GetSetBack()}
		var err error
		if q.Serial, err = license.ParseSerial(m.GetSerial()); err != nil {
			return nil, err
		}
		if len(m.GetNonce()) != len(q.Nonce) || m.GetClockMs() < 0 || m.GetClockMs() > latestClock {
			return nil, invalid("a question for the time has a nonce of %d bytes, or a clock out of range", len(m.GetNonce()))
		}
		copy(q.Nonce[:], m.GetNonce())
		if m.GetClockMs() != 0 {
			q.Clock = time.UnixMilli(m.GetClockMs()).UTC()
		}
		all = append(all, q)
	}
	return all, nil
}
