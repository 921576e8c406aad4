package resolvers

import (
	"context"
	"log/slog"
	"time"

	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/99designs/gqlgen/graphql/handler/extension"
	"github.com/vektah/gqlparser/v2"

	"github.com/quorate/quorate/ent"
	"github.com/quorate/quorate/graph"
	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/live"
	"github.com/quorate/quorate/internal/platform"
	"github.com/quorate/quorate/internal/ratelimit"
	"github.com/quorate/quorate/resolvers/admission"
	"github.com/quorate/quorate/resolvers/documents"
	"github.com/quorate/quorate/resolvers/limits"
	"github.com/quorate/quorate/resolvers/loading"
	"github.com/quorate/quorate/resolvers/observe"
	"github.com/quorate/quorate/resolvers/present"
	"github.com/quorate/quorate/resolvers/rights"
	"github.com/quorate/quorate/resolvers/socket"
	"github.com/quorate/quorate/resolvers/watch"
)

// mostBody bounds one request or WebSocket message.
const mostBody = 1 << 20

// Rates are how much operations may cost.
type Rates = admission.Rates

// Config is what the API is made of. Platform is required.
type Config struct {
	Platform *platform.Platform
	Logger   *slog.Logger
	// Authenticate tells who presents an Authorization header's value, for
	// WebSockets, which may send it in connection_init.
	Authenticate func(ctx context.Context, authorization string) (auth.Principal, error)
	// RequestID gives a request's id, which errors carry; nil: none.
	RequestID func(context.Context) string
	// Outlive lets WebSockets go on after their request's handler has returned; nil:
	// the handler stays.
	Outlive func(context.Context) (stopping context.Context, done func())
	// TrustedOrigins are origins besides the server's own whose pages may open
	// WebSockets.
	TrustedOrigins []string
	// Introspection lets clients read the schema.
	Introspection bool
	// Limits counts what operations cost, by Rates; nil: in this process alone.
	Limits ratelimit.Limiter
	Rates  Rates
	// Documents keeps those that clients sent with a digest; nil: in this process
	// alone.
	Documents documents.Cache
	// Registered are the only documents that callers without an API token may
	// execute; nil: they may execute any.
	Registered *documents.Registered
	// Timeout is how long a query or a mutation may take; 25 s when zero.
	Timeout time.Duration
	// InitTimeout is how long a WebSocket may take to say who it is.
	InitTimeout time.Duration
	// Streams is where the logs of subscriptions' streams are; nil: in this process
	// alone.
	Streams live.Log
	// Metrics count operations; nil: nobody does.
	Metrics *observe.Metrics
	// Ping is how often a stream shows that it lives; 25 s when zero, well within
	// the minute after which proxies close what is silent. A WebSocket that does
	// not answer two times is closed.
	Ping time.Duration
}

// Handler serves the GraphQL API. The request's context tells who asks
// (internal/auth).
type Handler struct {
	cfg     Config
	exec    admission.Metered
	render  *executor.Executor // executes what subscribers share
	socket  socket.Config
	r       *Resolver
	present present.Presenter
}

// NewHandler makes the API.
func NewHandler(cfg Config) *Handler {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.InitTimeout <= 0 {
		cfg.InitTimeout = 10 * time.Second
	}
	if cfg.Ping <= 0 {
		cfg.Ping = 25 * time.Second
	}
	if cfg.Limits == nil {
		cfg.Limits = ratelimit.NewMemory()
	}
	if cfg.Documents == nil {
		cfg.Documents = documents.NewLocal()
	}
	if cfg.Streams == nil {
		cfg.Streams = live.NewMemLog()
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 25 * time.Second
	}
	if cfg.Authenticate == nil {
		cfg.Authenticate = func(ctx context.Context, _ string) (auth.Principal, error) { return auth.From(ctx) }
	}
	r := &Resolver{
		platform: cfg.Platform, client: cfg.Platform.Store().Client(), streams: watch.New(cfg.Platform),
		rights: rights.New(cfg.Platform.Store().Client(), cfg.Platform.Bus()),
		hub:    live.NewHub(live.Config{Bus: cfg.Platform.Bus(), Log: cfg.Streams, Logger: cfg.Logger}),
	}
	known := admission.Persisted{Cache: cfg.Documents, Registered: cfg.Registered}
	h := &Handler{
		cfg: cfg, present: present.Presenter{Log: cfg.Logger, RequestID: cfg.RequestID},
		exec: admission.Metered{Executor: executor.New(graph.NewExecutableSchema(graph.Config{Resolvers: r})),
			Persisted: known, Limits: cfg.Limits, Rates: cfg.Rates},
		r: r,
	}
	h.socket = h.newSocket()
	h.render = executor.New(graph.NewExecutableSchema(graph.Config{Resolvers: r}))
	h.render.SetErrorPresenter(h.present.Present)
	h.render.SetRecoverFunc(h.present.Recovered)
	h.render.SetQueryCache(limits.NewQueryCache())
	h.render.Use(loading.Extension{Client: r.client})
	r.rights.Notice(func(topic string, err error) {
		cfg.Logger.Warn("subscribers were not told", "topic", topic, "err", err)
	})
	h.exec.SetErrorPresenter(h.present.Present)
	h.exec.SetRecoverFunc(h.present.Recovered)
	h.exec.SetParserTokenLimit(limits.MostTokens)
	h.exec.SetDefaultRulesFn(limits.Validation)
	queries := limits.NewQueryCache()
	h.exec.SetQueryCache(queries)
	h.exec.Use(observe.Extension{Metrics: cfg.Metrics})
	if cfg.Introspection {
		h.exec.Use(extension.Introspection{})
	}
	h.exec.Use(known)
	h.exec.Use(limits.Limits{Known: queries})
	h.exec.Use(admission.Timeouts{Most: cfg.Timeout})
	h.exec.Use(access{h.present, r})
	h.exec.Use(loading.Extension{Client: r.client})
	return h
}

// CheckDocuments says whether documents that are to be registered fit the schema.
// Error: license.CodeInvalidInput.
func CheckDocuments(all *documents.Registered) error {
	schema := graph.NewExecutableSchema(graph.Config{}).Schema()
	for digest, text := range all.All {
		if _, errs := gqlparser.LoadQueryWithRules(schema, text, limits.Validation()); errs != nil {
			return license.Errorf(license.CodeInvalidInput, "register the documents of this version of the platform",
				"the registered document %s can't be executed: %s", digest, errs[0].Message)
		}
	}
	return nil
}

// Resolver is the root of the resolvers.
type Resolver struct {
	platform *platform.Platform
	client   *ent.Client // reads under the principal of the context
	hub      *live.Hub
	rights   *rights.Rights
	streams  *watch.Streams
}

var _ graph.Noticer = (*Resolver)(nil)

// Notice implements graph.Noticer.
func (r *Resolver) Notice(ctx context.Context, v any) { loading.Notice(ctx, v) }

// loaders gives those of the response that ctx belongs to.
func (r *Resolver) loaders(ctx context.Context) *loading.Loaders { return loading.Of(ctx, r.client) }

// maskNotFound lets a lookup answer null for what is not there.
func maskNotFound(err error) error {
	if license.CodeOf(err) == license.CodeNotFound {
		return nil
	}
	return err
}

// memberGroup reads the group that a use case gave anew, as the viewer.
func (r *Resolver) memberGroup(ctx context.Context, g *ent.MemberGroup, err error) (*ent.MemberGroup, error) {
	if err != nil {
		return nil, err
	}
	return r.client.MemberGroup.Get(ctx, g.ID)
}
