package licenseserver

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"strings"
	"sync"
	"time"
	"unicode"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
)

// Bounds of asking holders to release. A notice replaces the one before, so who
// asks all the time would hide it.
const (
	mostNotice  = 500 // bytes of its text
	askEvery    = 10 * time.Second
	asksPerPeer = 10 // in askPeriod
	askPeriod   = time.Minute
	mostAskers  = 4096 // that are remembered
)

// AskRelease leaves the holder of a handle a notice that he be so kind.
func (s *service) AskRelease(
	ctx context.Context, req *connect.Request[quoratev1.AskReleaseRequest],
) (*connect.Response[quoratev1.AskReleaseResponse], error) {
	const doing = "asking for a handle's release"
	refusal := rpc.Administrator(s.cfg.AdminToken, req.Header(), req.Peer(), doing)
	admin := refusal == nil
	if !admin && !s.cfg.AskEveryone {
		return nil, refusal
	}
	p, err := rpc.ProductFrom(req.Msg.GetProduct())
	if err != nil {
		return nil, err
	}
	id, text, by := req.Msg.GetId(), req.Msg.GetText(), req.Msg.GetBy()
	if err := checkID("handle id", id); err != nil {
		return nil, err
	}
	if err := checkShown("text", text, mostNotice); err != nil {
		return nil, err
	}
	if err := checkShown("name of who asks", by, mostText); err != nil {
		return nil, err
	}
	host := peerHost(req.Peer())
	switch {
	case admin && by == "":
		by = "administrator"
	case admin:
	case by == "":
		by = host
	default: // what is said of oneself, and what is seen
		by += " (" + host + ")"
	}
	peer, handle := "peer "+host, "handle "+p.String()+" "+id
	question := sha256.Sum256([]byte(text + "\x00" + by))
	if notice := s.asks.answered(handle, question); notice != "" {
		return connect.NewResponse(&quoratev1.AskReleaseResponse{NoticeId: notice}), nil
	}
	if !admin {
		if err := s.asks.allow(peer, asksPerPeer, askPeriod); err != nil {
			return nil, err
		}
	}
	if err := s.asks.allow(handle, 1, askEvery); err != nil {
		return nil, err
	}
	notice := lease.Notice{ID: rand.Text(), Text: text, By: by}
	err = s.under(ctx, func(ctx context.Context, t *term) error {
		return t.seats.Ask(ctx, s.pool(p), id, notice)
	})
	if err != nil {
		// The handle's holder was told nothing. Who asks is free to do so again
		// where it may succeed then.
		s.asks.refund(handle)
		if code := license.CodeOf(err); !admin && (passes(err) || code == license.CodeNotLeader) {
			s.asks.refund(peer)
		}
		return nil, err
	}
	s.asks.answer(handle, question, notice.ID)
	s.log.Info("release asked for", "product", p.String(), "handle", id, "by", by)
	return connect.NewResponse(&quoratev1.AskReleaseResponse{NoticeId: notice.ID}), nil
}

// checkShown is checkTextTo for what is shown to people: it also refuses what
// makes text look other than it is.
func checkShown(field, s string, most int) error {
	if err := checkTextTo(field, s, most); err != nil {
		return err
	}
	if strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.Bidi_Control, r) }) {
		return invalid("leave such characters out", "the %s changes the direction of writing", field)
	}
	return nil
}

// limiter lets each key through so many times in a period, counted from the
// first. Of more keys than it remembers it refuses new ones.
type limiter struct {
	mu   sync.Mutex
	keys map[string]*tries
}

type tries struct {
	n        int
	until    time.Time
	question [sha256.Size]byte // that notice answered
	notice   string
}

// answered gives the notice that the same question has left in its period: its
// answer may have been lost.
func (l *limiter) answered(key string, question [sha256.Size]byte) (notice string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.keys[key]; t != nil && t.question == question && time.Now().Before(t.until) {
		return t.notice
	}
	return ""
}

func (l *limiter) answer(key string, question [sha256.Size]byte, notice string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.keys[key]; t != nil {
		t.question, t.notice = question, notice
	}
}

// refund takes a try back.
func (l *limiter) refund(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.keys[key]; t != nil && t.n > 0 {
		t.n--
	}
}

// allow counts a try, or refuses it with CodeThrottled.
func (l *limiter) allow(key string, most int, period time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	t := l.keys[key]
	if t == nil || !now.Before(t.until) {
		if len(l.keys) >= mostAskers {
			for k, t := range l.keys {
				if !now.Before(t.until) {
					delete(l.keys, k)
				}
			}
		}
		if t == nil && len(l.keys) >= mostAskers {
			return throttled(askPeriod)
		}
		if l.keys == nil {
			l.keys = make(map[string]*tries)
		}
		t = &tries{until: now.Add(period)}
		l.keys[key] = t
	}
	if t.n >= most {
		return throttled(t.until.Sub(now))
	}
	t.n++
	return nil
}

func throttled(wait time.Duration) error {
	return &license.Error{
		Code: license.CodeThrottled, Message: "a release was asked for a moment ago", Fix: "ask again in " + roughly(wait),
		Details: map[string]any{"retryMs": wait.Milliseconds()},
	}
}
