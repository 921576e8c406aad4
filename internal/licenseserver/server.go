package licenseserver

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
	"github.com/quorate/quorate/internal/seal"
)

// Bounds of a handle's lease.
const (
	DefaultLease  = time.Minute
	ShortestLease = time.Second
	LongestLease  = 24 * time.Hour
)

// mostRequest bounds a whole request, in bytes.
const mostRequest = 64 << 10

// Config is what a server needs.
type Config struct {
	// Name tells people which server this is; unique in its group.
	Name    string
	Source  Source
	Store   lease.Store
	Arbiter Arbiter
	// Signer signs the tokens: the group's token key, the same on each server of
	// the group.
	Signer seal.Signer
	// Shared: several processes serve this container together, under the epoch
	// in force, rather than one leader at a time.
	Shared bool
	// Lease is how long a handle lives without a renewal; 0: DefaultLease.
	Lease time.Duration
	// Modes are the access modes offered; nil: all.
	Modes []license.AccessMode
	// Limits says by rules of the server's own whether a request may be granted,
	// within which limits, and with which priority in the queue; nil: all may. The
	// limits are given even with an error, which is CodeNotAllowed.
	Limits func(p license.Product, a license.Ask) (limits lease.Limits, priority int32, err error)
	// MostWaiting is how many requests of one computer may wait for licenses, and
	// MostHandles how many handles that cost nothing it may have (no user limit, and
	// station share); 0: DefaultMostWaiting, DefaultMostHandles. A computer is the
	// address that calls come from.
	MostWaiting, MostHandles int
	// BorrowMost is how long a license may be borrowed; 0: none may. Not for a
	// virtual or a cloud container.
	BorrowMost time.Duration
	// Disclose is what those who are no administrators are told of others' use;
	// empty: DiscloseHosts.
	Disclose Disclosure
	// AskEveryone lets everybody ask a holder to release, not administrators alone.
	AskEveryone bool
	// MinRemoveAge keeps younger handles from being removed.
	MinRemoveAge time.Duration
	// Blocked says why no server of the group could lead now, as far as this one
	// sees: what it answers then while it doesn't lead itself. Nil: it never knows.
	Blocked func() error
	// Vouch says whether a handle's token may be believed though this server doesn't
	// lead (nil) or not: then it opens keys and data for its program, as long as the
	// token's lifetime has not ended. Nil: only who leads does.
	Vouch func(ctx context.Context, ref lease.Ref) error
	// LocalPrograms: programs on this machine may use licenses without a
	// quantity. Only for a server over a container of this machine: a TMR server
	// has no local programs.
	LocalPrograms bool
	// AdminToken tells an administrator, who may remove handles and sees who uses
	// what, as bearer. Empty: peers on the loopback interface are administrators.
	AdminToken string
	Logger     *slog.Logger // nil: none
}

// Server hands out handles. Start it once; Stop may be called any number of
// times.
type Server struct {
	cfg   Config
	log   *slog.Logger
	token *seal.Tokens
	modes []license.AccessMode
	owns  func(netip.Addr) bool // an address of this machine

	bells   bells
	holders holdersCache
	pages   pages
	asks    limiter
	waiting crowd
	many    crowd
	turn    atomic.Pointer[license.Product] // the product Living begins with; nil: the first

	mu          sync.Mutex
	wanted      bool          // the arbiter's last word
	roleChanged chan struct{} // closed when wanted changes
	term        *term         // nil: not leading
	changed     chan struct{} // closed when term changes
	cancel      context.CancelFunc
	stopped     bool

	terms atomic.Uint64 // how often it began to lead
	done  sync.WaitGroup
}

// New makes a server; it does nothing until Start.
func New(cfg Config) (*Server, error) {
	if cfg.Lease == 0 {
		cfg.Lease = DefaultLease
	}
	if cfg.Modes == nil {
		cfg.Modes = []license.AccessMode{license.UserLimit, license.StationShare, license.Exclusive, license.NoUserLimit}
	}
	if cfg.Disclose == "" {
		cfg.Disclose = DiscloseHosts
	}
	cfg.MostWaiting = cmp.Or(cfg.MostWaiting, DefaultMostWaiting)
	cfg.MostHandles = cmp.Or(cfg.MostHandles, DefaultMostHandles)
	switch {
	case cfg.Source == nil, cfg.Store == nil, cfg.Arbiter == nil, cfg.Signer == nil:
		return nil, errors.New("license server: source, store, arbiter and signer are needed")
	case cfg.Lease < ShortestLease || cfg.Lease > LongestLease:
		return nil, license.Errorf(license.CodeInvalidInput,
			"set it to between 1s and 24h; 1m suits most", "a lease of %s is out of range", cfg.Lease)
	case cfg.BorrowMost < 0 || cfg.BorrowMost > lease.MostLease:
		return nil, license.Errorf(license.CodeInvalidInput,
			"set it to some days; 0 lends nothing", "licenses can't be lent for %s", cfg.BorrowMost)
	case cfg.BorrowMost > 0 && !lends(cfg.Source.Serial()):
		return nil, license.Errorf(license.CodeInvalidInput,
			"leave the time for borrowing out", "the licenses of container %s can't be borrowed", cfg.Source.Serial())
	case cfg.MostWaiting < 0 || cfg.MostWaiting > lease.MostWaiting || cfg.MostHandles < 0:
		return nil, license.Errorf(license.CodeInvalidInput, "set them to 1 or more; 0 means the default",
			"of one computer 1 to %d requests can wait, not %d, and 1 handle or more be given, not %d", lease.MostWaiting, cfg.MostWaiting, cfg.MostHandles)
	case cfg.MinRemoveAge < 0:
		return nil, license.Errorf(license.CodeInvalidInput,
			"set it to 0 or more", "a minimum age of %s is out of range", cfg.MinRemoveAge)
	case !slices.Contains([]Disclosure{DiscloseNone, DiscloseHosts, DiscloseUsers}, cfg.Disclose):
		return nil, license.Errorf(license.CodeInvalidInput,
			"use none, hosts or users", "there is no disclosure %q", cfg.Disclose)
	}
	return &Server{
		cfg:         cfg,
		log:         orDiscard(cfg.Logger).With("server", cfg.Name),
		token:       seal.NewTokens(cfg.Signer),
		modes:       slices.Clone(cfg.Modes),
		owns:        ownAddress,
		roleChanged: make(chan struct{}),
		changed:     make(chan struct{}),
	}, nil
}

// Start begins to follow the arbiter. It returns at once; until the server
// leads, calls are answered NOT_LEADER.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cancel != nil || s.stopped {
		return errors.New("license server: started before")
	}
	ctx, s.cancel = context.WithCancel(ctx)
	s.done.Go(func() { s.lead(ctx) })
	s.done.Go(func() {
		s.cfg.Arbiter.Arbitrate(ctx, s.tell)
		s.tell(false)
	})
	return nil
}

// Stop ends the service: first no call is begun any more, then the arbiter gives
// the role up, so that a standby takes over at once. It returns when all is
// done.
func (s *Server) Stop() {
	s.mu.Lock()
	s.stopped = true
	cancel := s.cancel
	s.mu.Unlock()
	s.tell(false)
	if cancel != nil {
		cancel()
	}
	s.done.Wait()
}

// Handler gives the path and handler of the license service.
func (s *Server) Handler(opts ...connect.HandlerOption) (string, http.Handler) {
	all := []connect.HandlerOption{rpc.HandlerOptions(s.log), connect.WithReadMaxBytes(mostRequest)}
	return quoratev1connect.NewLicenseServiceHandler(&service{Server: s}, append(all, opts...)...)
}

// Remove ends somebody else's handle, for who is authorized otherwise (the
// platform's link). Errors: CodeHandleUnknown, CodeBorrowed, CodeTooYoung,
// CodeNotLeader.
func (s *Server) Remove(ctx context.Context, p license.Product, handle, by string) error {
	err := s.under(ctx, func(ctx context.Context, t *term) error {
		return t.seats.Remove(ctx, s.pool(p), lease.Removal{Handle: handle, By: by, MinAge: s.cfg.MinRemoveAge})
	})
	if err == nil {
		s.many.leave(member{p, handle})
		s.bells.ring(p)
	}
	return err
}

// lends says whether licenses of a container may be borrowed at all: those of a
// TMR group and of the cloud never are.
func lends(c license.Serial) bool {
	return c.Mask != license.MaskVirtual && c.Mask != license.MaskCloud
}

// limits says what the server's own rules make of a request.
func (s *Server) limits(p license.Product, a license.Ask) (lease.Limits, int32, error) {
	if s.cfg.Limits == nil {
		return lease.Limits{}, 0, nil
	}
	return s.cfg.Limits(p, a)
}

// heldBack is how many licenses are kept back for those whom rules name.
func (s *Server) heldBack(p license.Product, u lease.Usage) uint32 {
	l, _, _ := s.limits(p, license.Ask{}) // somebody whom no rule names
	return keptBack(l.Holds, u)
}

func keptBack(holds []lease.Hold, u lease.Usage) (n uint32) {
	for _, h := range holds {
		if taken := u.ByTag[h.Tag]; taken < h.Least {
			n += h.Least - taken
		}
	}
	return n
}

// Handles counts the living handles of all products; zero without an error when
// this server doesn't lead.
func (s *Server) Handles(ctx context.Context) (int, error) {
	n := 0
	err := s.under(ctx, func(ctx context.Context, t *term) error {
		for _, o := range s.cfg.Source.Licenses() {
			u, err := t.seats.Usage(ctx, s.pool(o.Product))
			if err != nil {
				return err
			}
			for _, handles := range u.ByMode {
				n += int(handles)
			}
		}
		return nil
	})
	switch license.CodeOf(err) {
	case license.CodeNotLeader, license.CodeNoMajority:
		return 0, nil
	}
	return n, err
}

func (s *Server) pool(p license.Product) lease.Pool {
	return lease.Pool{Container: s.cfg.Source.Serial(), Product: p}
}

// mostCall bounds one call, whatever its caller allows: a store or a backend
// that hangs must not collect calls without end.
const mostCall = 10 * time.Second

// under runs f under the current term. Where the store says that a newer epoch
// leads, the term ends and the answer is CodeNotLeader.
func (s *Server) under(ctx context.Context, f func(context.Context, *term) error) error {
	t := s.current()
	if t == nil {
		return s.notLeading()
	}
	ctx, cancel := context.WithTimeout(ctx, mostCall)
	defer cancel()
	err := f(ctx, t)
	if err != nil && s.refused(t, err) {
		return notLeader()
	}
	return err
}

// notLeading is the answer of a server without a term.
func (s *Server) notLeading() error {
	if s.cfg.Blocked != nil {
		if err := s.cfg.Blocked(); err != nil {
			return err
		}
	}
	return notLeader()
}

func notLeader() error {
	return license.Errorf(license.CodeNotLeader,
		"ask the other server of the group or its virtual IP; the SDK does so by itself when it has the list",
		"this license server is not the active one")
}
