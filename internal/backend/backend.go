package backend

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"connectrpc.com/connect"

	"github.com/quorate/quorate/internal/container"
	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/journal/journalrpc"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/rpc"
	"github.com/quorate/quorate/internal/rpc/quoratev1"
	"github.com/quorate/quorate/internal/rpc/quoratev1/quoratev1connect"
	"github.com/quorate/quorate/internal/seal"
)

// Container is what a backend needs of its container; *container.Container is
// one.
type Container interface {
	Serial() license.Serial
	ActivationID() [16]byte
	Licenses() (version uint64, held []license.Held)
	License(p license.Product) (license.Held, bool)
	Group() (seal.Group, bool)
	Fingerprint(nonce []byte) ([]byte, error)
	Stage(update []byte) (container.Staged, error)
	Statement(nonce []byte) ([]byte, error)
	Activate(digest [32]byte, statements [][]byte) (receipt []byte, err error)
	Receipts() ([][]byte, error)
	OpenKey(p license.Product, wrapped []byte) ([]byte, error)
	// ProtectedData gives protected data by its name, and UseSecret what the
	// secret data of a name makes of a context.
	ProtectedData(p license.Product, name license.DataName) ([]byte, error)
	UseSecret(p license.Product, name license.DataName, context []byte) ([]byte, error)
	// PromiseMeters promises an epoch, durably, and gives all unit meters;
	// WriteMeter sets one, durably, if its epoch and units are the highest.
	// CodeFenced: a higher epoch was promised.
	PromiseMeters(epoch uint64) ([]license.Meter, error)
	WriteMeter(epoch uint64, m license.Meter) error
	// Moment is the container's time, which Certify sets by a certificate that
	// answers TimeNonce.
	Moment() license.Moment
	TimeNonce() [16]byte
	Certify(certificate []byte) error
	// Watch gives a channel that receives after changes and is closed with ctx
	// or the container.
	Watch(ctx context.Context) <-chan struct{}
}

var _ Container = (*container.Container)(nil)

const (
	defaultBeat  = 100 * time.Millisecond
	leastBeat    = 20 * time.Millisecond
	mostBeat     = 10 * time.Second
	mostWatchers = 64

	leastNonce, mostNonce = 16, 64
)

// Config is what a backend serves, and to whom.
type Config struct {
	Container Container
	// Journal is the journal of the group's seats; nil: this backend keeps none,
	// and says so.
	Journal journal.Journal
	Pins    []string // of the TMR servers' TLS keys
	Logger  *slog.Logger
}

// Backend answers TMR servers. Safe for concurrent use.
type Backend struct {
	container Container
	journal   journal.Journal
	pins      []string
	logger    *slog.Logger
	watchers  chan struct{} // a place per stream
	vote      *vote
}

// New refuses a configuration without any pin: such a backend would serve
// nobody.
func New(c Config) (*Backend, error) {
	if len(c.Pins) == 0 {
		return nil, license.Errorf(license.CodeInvalidInput, "name the pins of both TMR servers",
			"the backend knows no TMR server")
	}
	for _, p := range c.Pins {
		if err := rpc.CheckPin(p); err != nil {
			return nil, err
		}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Backend{
		container: c.Container, journal: c.Journal, pins: append([]string(nil), c.Pins...), logger: c.Logger,
		watchers: make(chan struct{}, mostWatchers), vote: new(vote),
	}, nil
}

// Handler gives the path and the handler of the service. It belongs behind
// rpc.Handler (rpc.NewServer adds it), which learns the caller's key from TLS.
func (b *Backend) Handler(opts ...connect.HandlerOption) (path string, handler http.Handler) {
	return quoratev1connect.NewBackendServiceHandler(service{b, journals{Journal: b.journal, Authorize: b.authorize}},
		append([]connect.HandlerOption{rpc.HandlerOptions(b.logger)}, opts...)...)
}

func (b *Backend) known(ctx context.Context) bool {
	return rpc.MatchPin(b.pins, rpc.PeerPin(ctx))
}

func (b *Backend) authorize(ctx context.Context) error {
	if !b.known(ctx) {
		return license.Errorf(license.CodeForbidden,
			"ask the TMR server of the group, or enter the TMR server's pin at this backend",
			"this backend answers only the TMR servers of its group")
	}
	return ctx.Err()
}

func (b *Backend) state() *quoratev1.ContainerState {
	version, held := b.container.Licenses()
	activation := b.container.ActivationID()
	return &quoratev1.ContainerState{
		Serial: b.container.Serial().String(), ActivationId: activation[:],
		Version: version, Licenses: rpc.HeldsProto(held),
	}
}

// service is the RPC face of a backend.
type service struct {
	*Backend
	journals
}

type journals = journalrpc.Handler

func (s service) Watch(
	ctx context.Context, req *connect.Request[quoratev1.WatchRequest], stream *connect.ServerStream[quoratev1.WatchResponse],
) error {
	if err := s.authorize(ctx); err != nil {
		return err
	}
	select {
	case s.watchers <- struct{}{}:
		defer func() { <-s.watchers }()
	default:
		return license.Errorf(license.CodeThrottled, "wait a little, and look for connections that nobody closes",
			"%d watchers are connected already", mostWatchers)
	}
	beat := defaultBeat
	if ms := req.Msg.GetBeatMs(); ms != 0 {
		beat = min(max(time.Duration(ms)*time.Millisecond, leastBeat), mostBeat)
	}
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	now, done := s.clock(ctx)
	defer done()
	changes := s.container.Watch(ctx) // before the first state: nothing is missed
	response := &quoratev1.WatchResponse{State: s.state(), Moment: now(mostBeat)}
	for {
		if err := stream.Send(response); err != nil {
			return err
		}
		response = new(quoratev1.WatchResponse)
		select {
		case _, open := <-changes:
			switch {
			case open:
				response.State = s.state()
			case ctx.Err() != nil:
				return ctx.Err()
			default:
				return license.Errorf(license.CodeUnavailable, "start the license server again", "the container is closed")
			}
		case <-ticker.C:
		case <-rpc.Closing(ctx):
			return license.Errorf(license.CodeUnavailable, "connect again", "the license server is shutting down")
		case <-ctx.Done():
			return ctx.Err()
		}
		response.Moment = now(beat / 4)
	}
}

func checkNonce(nonce []byte) error {
	if len(nonce) < leastNonce || len(nonce) > mostNonce {
		return license.Errorf(license.CodeInvalidInput, "use 16 to 64 random bytes",
			"a nonce of %d bytes does not work", len(nonce))
	}
	return nil
}

func (s service) Fingerprint(
	ctx context.Context, req *connect.Request[quoratev1.FingerprintRequest],
) (*connect.Response[quoratev1.FingerprintResponse], error) {
	if err := s.authorize(ctx); err != nil {
		return nil, err
	}
	if err := checkNonce(req.Msg.GetNonce()); err != nil {
		return nil, err
	}
	fingerprint, err := s.container.Fingerprint(req.Msg.GetNonce())
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&quoratev1.FingerprintResponse{Fingerprint: fingerprint}), nil
}

func (s service) Stage(
	ctx context.Context, req *connect.Request[quoratev1.StageRequest],
) (*connect.Response[quoratev1.StageResponse], error) {
	if err := s.authorize(ctx); err != nil {
		return nil, err
	}
	staged, err := s.container.Stage(req.Msg.GetUpdate())
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&quoratev1.StageResponse{
		Digest: staged.Digest[:], Number: staged.Number, Installed: staged.Installed,
		Receipt: staged.Receipt, Nonce: staged.Nonce,
	}), nil
}

func (s service) Statement(
	ctx context.Context, req *connect.Request[quoratev1.StatementRequest],
) (*connect.Response[quoratev1.StatementResponse], error) {
	if err := s.authorize(ctx); err != nil {
		return nil, err
	}
	if err := checkNonce(req.Msg.GetNonce()); err != nil {
		return nil, err
	}
	statement, err := s.container.Statement(req.Msg.GetNonce())
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&quoratev1.StatementResponse{Statement: statement}), nil
}

func (s service) Activate(
	ctx context.Context, req *connect.Request[quoratev1.ActivateRequest],
) (*connect.Response[quoratev1.ActivateResponse], error) {
	if err := s.authorize(ctx); err != nil {
		return nil, err
	}
	var digest [32]byte
	if len(req.Msg.GetDigest()) != len(digest) || len(req.Msg.GetStatements()) > license.Backends {
		return nil, license.Errorf(license.CodeInvalidInput, "use the same version of Quorate on both sides",
			"the activation names no update, or brings too many statements")
	}
	copy(digest[:], req.Msg.GetDigest())
	receipt, err := s.container.Activate(digest, req.Msg.GetStatements())
	if err != nil {
		return nil, err
	}
	s.logger.InfoContext(ctx, "update activated", "serial", s.container.Serial().String())
	return connect.NewResponse(&quoratev1.ActivateResponse{Receipt: receipt}), nil
}

func (s service) Receipts(
	ctx context.Context, _ *connect.Request[quoratev1.ReceiptsRequest],
) (*connect.Response[quoratev1.ReceiptsResponse], error) {
	if err := s.authorize(ctx); err != nil {
		return nil, err
	}
	receipts, err := s.container.Receipts()
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&quoratev1.ReceiptsResponse{Receipts: receipts}), nil
}
