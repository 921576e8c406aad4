package link

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// Clock is the time of the containers behind this server. None of its methods
// but Certify may block.
type Clock interface {
	Moment() license.Moment
	// TimeNonces gives what time certificates have to answer, by container, of
	// those that can be reached now.
	TimeNonces() map[license.Serial][16]byte
	// Certify hands a certificate to its container, which verifies it.
	Certify(ctx context.Context, s license.Serial, certificate []byte) error
}

const (
	// certifyEvery is how often the time is certified while all is well.
	certifyEvery = time.Hour
	// clockLook is how often it is looked whether the clock was set back.
	clockLook   = time.Second
	certifyTime = 30 * time.Second
)

// certify has the time certified by the platform: when this server begins to
// lead, every hour, and at once when the clock was set back. What fails is tried
// again; the platform answers each container once in ten seconds only.
func (a *Agent) certify(ctx context.Context) {
	state := trouble{logger: a.conf.Logger, what: "having the time certified"}
	var leads, back bool
	var epoch uint64
	var due time.Time // zero: at once
	pauses := backoff{first: 4 * time.Second, most: 10 * time.Minute}
	for ; ctx.Err() == nil; sleep(ctx, clockLook) {
		leading, e := a.conf.Leading()
		if leading && (!leads || e != epoch) {
			due = time.Time{}
			pauses.reset()
		}
		leads, epoch = leading, e
		if !leading {
			continue
		}
		m := a.conf.Clock.Moment()
		if m.At.IsZero() { // too few containers were heard to know any time
			continue
		}
		if m.SetBack && !back {
			a.conf.Logger.Warn("the clock was set back: the time has to be certified", "highest", m.At)
			due = time.Time{}
			pauses.reset()
		}
		back = m.SetBack
		if time.Now().Before(due) {
			continue
		}
		asked, err := a.certifyOnce(ctx, m)
		back = a.conf.Clock.Moment().SetBack
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			state.failed(err)
			due = time.Now().Add(pauses.draw())
		case asked == 0: // no container is there to ask for
		case back: // too few containers to go by
			due = time.Now().Add(pauses.draw())
		default:
			state.fine()
			pauses.reset()
			due = time.Now().Add(certifyEvery)
		}
	}
}

// certifyOnce asks for all containers that can be reached, and hands them what
// is answered.
func (a *Agent) certifyOnce(ctx context.Context, m license.Moment) (asked int, err error) {
	nonces := a.conf.Clock.TimeNonces()
	serials := slices.SortedFunc(maps.Keys(nonces), func(a, b license.Serial) int {
		return slices.Compare([]uint64{uint64(a.Mask), a.Number}, []uint64{uint64(b.Mask), b.Number})
	})
	if len(serials) == 0 {
		return 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, certifyTime)
	defer cancel()
	req := &quoratev1.CertifyRequest{}
	for _, s := range serials {
		nonce := nonces[s]
		req.Questions = append(req.Questions, &quoratev1.TimeQuestion{
			Serial: s.String(), Nonce: nonce[:], ClockMs: max(rpc.UnixMillis(m.At), 0), SetBack: m.SetBack,
		})
	}
	res, err := a.api.Certify(ctx, connect.NewRequest(req))
	if err != nil {
		if license.CodeOf(err) == license.CodeUnavailable {
			a.http.Reset() // the connection may be dead
		}
		return len(serials), err
	}
	all := res.Msg.GetCertificates()
	if len(all) != len(serials) {
		return len(serials), license.Errorf(license.CodeFormatUnknown, "use the same version of Quorate on both sides",
			"the platform answered %d questions for the time with %d certificates", len(serials), len(all))
	}
	var errs []error
	for i, s := range serials {
		if len(all[i]) == 0 {
			continue // the platform has blocked the container
		}
		errs = append(errs, a.conf.Clock.Certify(ctx, s, all[i]))
	}
	return len(serials), errors.Join(errs...)
}
