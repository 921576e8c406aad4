package httpd

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/quorate/quorate/internal/ratelimit"
	"github.com/quorate/quorate/internal/telemetry"
)

// Bounds that hold where the Config says nothing else.
const (
	defaultGrace   = 15 * time.Second
	requestTimeout = 30 * time.Second
	answerTimeout  = 2 * time.Minute // a reader who takes longer is gone
	mostBody       = 1 << 20
	mostSignInBody = 16 << 10
)

// Config is what a Server is made of. The zero value serves health and a page
// saying that there is no dashboard.
type Config struct {
	// Logger gets one line per request; nil: nothing is logged.
	Logger *slog.Logger
	// GraphQL is served at /graphql.
	GraphQL http.Handler
	// RPC are services by path, for example "/quorate.v1.LinkService/". They
	// authenticate by themselves, and neither cookies nor body limits apply.
	RPC map[string]http.Handler
	// Exports are files by name, which GET /export/NAME gives to who is signed in
	// or has a token, two at a time of an organization. One returns an error before it writes, or to have the
	// answer broken off.
	Exports map[string]func(http.ResponseWriter, *http.Request) error
	// Sessions signs people in; nil: there are no /auth endpoints.
	Sessions Sessions
	// Auth are further endpoints under /auth/ by method and path, for example
	// "POST /auth/password". They are served where there are Sessions.
	Auth map[string]Endpoint
	// Dashboard are the built dashboard's files, with index.html at the root.
	Dashboard fs.FS
	// Ready says whether requests can be served now; nil: always.
	Ready func(context.Context) error
	// Metrics gets the server's figures. It is not served here, where everybody
	// could read it; nil: nobody looks.
	Metrics prometheus.Registerer
	// Tracing makes a span of each request; nil: off.
	Tracing *telemetry.Tracing
	// Limits counts what runs at the same time; nil: in this process alone.
	Limits ratelimit.Limiter
	// TrustedOrigins are origins besides our own whose pages may send requests
	// with cookies and read the answers, for example
	// "https://licenses.example.com" where a proxy changes the Host header.
	TrustedOrigins []string
	// TrustedProxies are networks of proxies that say whom a request is from, by
	// X-Forwarded-For; of others it is the connection's address.
	TrustedProxies []netip.Prefix
	// HTTPS: browsers reach the server by HTTPS only, by a proxy or directly,
	// and are told so.
	HTTPS bool
	// Grace is how long a stop waits for short requests.
	Grace time.Duration
}

// Server is the platform's HTTP server.
type Server struct {
	cfg      Config
	log      *slog.Logger
	metrics  *metrics
	origins  *origins
	handler  http.Handler
	stopping context.Context // ends when a stop begins
	stop     context.CancelCauseFunc
	requests sync.WaitGroup
}

// errStopping is the cause that a long request's context ends with.
var errStopping = errors.New("the server is stopping")

// New makes a Server. It reads the dashboard's files once.
func New(cfg Config) (*Server, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Grace <= 0 {
		cfg.Grace = defaultGrace
	}
	if cfg.Limits == nil {
		cfg.Limits = ratelimit.NewMemory()
	}
	if cfg.Metrics == nil {
		cfg.Metrics = prometheus.NewRegistry()
	}
	s := &Server{cfg: cfg, log: slog.New(telemetry.LogHandler(cfg.Logger.Handler()))}
	s.stopping, s.stop = context.WithCancelCause(context.Background())
	var err error
	if s.metrics, err = newMetrics(cfg.Metrics); err != nil {
		return nil, err
	}
	if s.origins, err = newOrigins(cfg.TrustedOrigins); err != nil {
		return nil, err
	}
	dashboard, err := newDashboard(cfg.Dashboard)
	if err != nil {
		return nil, err
	}
	s.handler = s.chain(s.routes(dashboard))
	return s, nil
}

// Handler is everything the server serves, for tests and for embedding.
func (s *Server) Handler() http.Handler { return s.handler }

func (s *Server) routes(dashboard http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.health)
	mux.HandleFunc("GET /readyz", s.ready)
	sessions := func(h http.Handler) http.Handler { return h }
	if s.cfg.Sessions != nil {
		sessions = s.cfg.Sessions.Wrap
		auth := signIn{sessions: s.cfg.Sessions, log: s.log}
		short := func(h http.HandlerFunc) http.Handler {
			return s.short(s.origins.guard(limitBody(mostSignInBody, noStore(sessions(h)))))
		}
		mux.Handle("POST /auth/login", short(auth.login))
		mux.Handle("POST /auth/logout", short(auth.logout))
		mux.Handle("GET /auth/session", short(auth.session))
		for pattern, e := range s.cfg.Auth {
			mux.Handle(pattern, short(auth.endpoint(e)))
		}
	}
	mux.HandleFunc("/auth/", notFound)
	if s.cfg.GraphQL != nil {
		graphql := s.origins.share(s.origins.guard(limitBody(mostBody, noStore(preflighted(sessions(s.cfg.GraphQL))))))
		mux.Handle("/graphql", bySort(s.short(graphql), s.long(graphql)))
	}
	for path, h := range s.cfg.RPC {
		mux.Handle(path, s.long(h))
	}
	for name, f := range s.cfg.Exports {
		mux.Handle("GET /export/"+name, s.long(s.origins.share(noStore(sessions(s.limitExports(name, export(f)))))))
	}
	mux.Handle("/export/", s.origins.share(http.HandlerFunc(notFound)))
	mux.Handle("/", dashboard)
	return mux
}

// Serve accepts connections until ctx ends or the listener fails. It returns
// nil after an orderly stop: when it returns, no request is running any more,
// unless one outlasted the grace period.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true) // links may speak gRPC without TLS behind a proxy
	server := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		Protocols:         protocols,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(ln) }()
	select {
	case err := <-failed:
		s.stop(errStopping)
		return err
	case <-ctx.Done():
	}
	s.stop(errStopping)
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Grace)
	defer cancel()
	err := server.Shutdown(grace)
	// Shutdown knows nothing of hijacked connections: wait for these here.
	done := make(chan struct{})
	go func() { s.requests.Wait(); close(done) }()
	select {
	case <-done:
	case <-grace.Done():
		err = errors.Join(err, grace.Err())
	}
	if err != nil {
		return errors.Join(err, server.Close())
	}
	return nil
}

// long marks a route whose requests may last: their context ends when the
// server begins to stop. Only answers may take long: a body has to come as soon
// as that of any other request.
func (s *Server) long(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancelCause(r.Context())
		defer cancel(nil)
		defer context.AfterFunc(s.stopping, func() { cancel(errStopping) })()
		control := http.NewResponseController(w)
		r = r.WithContext(context.WithValue(ctx, outliveKey{}, s))
		if r.Body != nil && r.Body != http.NoBody && control.SetReadDeadline(time.Now().Add(requestTimeout)) == nil {
			// Left in place it would end the request while it is answered.
			r.Body = &body{r.Body, func() { _ = control.SetReadDeadline(time.Time{}) }}
		}
		next.ServeHTTP(w, r)
	})
}

// outliveKey leads to the server of a request that may last.
type outliveKey struct{}

// Outlive is for what goes on with a hijacked connection when its request's
// handler has returned: a stop waits for it until done is called, and says so by
// the end of stopping. Without stopping the request's handler must stay.
func Outlive(ctx context.Context) (stopping context.Context, done func()) {
	s, ok := ctx.Value(outliveKey{}).(*Server)
	if !ok {
		return nil, nil
	}
	s.requests.Add(1) // within a request, which counts too
	return s.stopping, s.requests.Done
}

// body tells when it was read to its end.
type body struct {
	io.ReadCloser
	ended func()
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.ended()
	}
	return n, err
}

// short marks a route whose requests must be over soon, and whose answers are
// to be taken.
func (s *Server) short(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
		defer cancel()
		// Not every writer (a test's recorder) can do it; the context bounds the rest.
		control := http.NewResponseController(w)
		_ = control.SetReadDeadline(time.Now().Add(requestTimeout))
		_ = control.SetWriteDeadline(time.Now().Add(answerTimeout))
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}
