package platform

import (
	"errors"
	"github.com/quorate/quorate/internal/platform/links"
	"github.com/quorate/quorate/internal/platform/orders"
	"github.com/quorate/quorate/internal/platform/plans"
	"github.com/quorate/quorate/internal/platform/provision"
	"github.com/quorate/quorate/internal/platform/rollouts"
	"log/slog"
	"time"

	"github.com/quorate/quorate/internal/auth"
	"github.com/quorate/quorate/internal/event"
	"github.com/quorate/quorate/internal/platform/accounts"
	"github.com/quorate/quorate/internal/platform/catalog"
	"github.com/quorate/quorate/internal/platform/clocks"
	"github.com/quorate/quorate/internal/platform/containers"
	"github.com/quorate/quorate/internal/platform/core"
	"github.com/quorate/quorate/internal/platform/enrollments"
	"github.com/quorate/quorate/internal/platform/firmkeys"
	"github.com/quorate/quorate/internal/platform/history"
	"github.com/quorate/quorate/internal/platform/members"
	"github.com/quorate/quorate/internal/platform/rulesets"
	"github.com/quorate/quorate/internal/platform/signin"
	"github.com/quorate/quorate/internal/platform/tenants"
	"github.com/quorate/quorate/internal/platform/tickets"
	"github.com/quorate/quorate/internal/platform/views"
	"github.com/quorate/quorate/internal/platform/webhooks"
	"github.com/quorate/quorate/internal/ratelimit"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/webhook"
)

// Config is what a Platform is made of. All fields but Limits, Logger, Passwords
// and Settle are required.
type Config struct {
	Store *store.Store
	Bus   event.Bus
	Keys  core.KeyWrapper
	Jobs  core.Jobs
	// Limits defaults to counting in this process alone.
	Limits ratelimit.Limiter
	// Passwords defaults to a Hasher of the default cost, four at a time.
	Passwords *auth.Hasher
	Logger    *slog.Logger
	// Settle is how long a backend has to serve a new license steadily before
	// the next backend's turn; one second when zero.
	Settle time.Duration
	// PrivateNetworks: identity providers may be in private networks.
	PrivateNetworks bool
	// Webhooks sends messages; nil: to public addresses only, by HTTPS.
	Webhooks webhooks.Sender
	// Usage is how long what of the usage history is kept.
	Usage history.UsagePolicy
}

// The services, by names that tell them apart and keep them to this package.
type (
	historyService    = history.Service
	viewsService      = views.Service
	catalogService    = catalog.Service
	firmkeysService   = firmkeys.Service
	rulesetsService   = rulesets.Service
	containersService = containers.Service
	accountsService   = accounts.Service
	membersService    = members.Service
	tenantsService    = tenants.Service
	clocksService     = clocks.Service
	ordersService     = orders.Service
	rolloutsService   = rollouts.Service
	provisionService  = provision.Service
	linksService      = links.Service
	webhooksService   = webhooks.Service
	providersService  = signin.Providers
	ticketsService    = tickets.Service
	plansService      = plans.Service
	enrollmentService = enrollments.Service
)

// Platform has the use cases: those of all services. Safe for concurrent use.
type Platform struct {
	core *core.Core
	*historyService
	*viewsService
	*catalogService
	*firmkeysService
	*rulesetsService
	*containersService
	*accountsService
	*membersService
	*tenantsService
	*clocksService
	*ordersService
	*rolloutsService
	*provisionService
	*linksService
	*webhooksService
	*providersService
	people *signin.Service
	*ticketsService
	*plansService
	*enrollmentService
}

// New makes a Platform.
func New(c Config) (*Platform, error) {
	if c.Store == nil || c.Bus == nil || c.Keys == nil || c.Jobs == nil {
		return nil, errors.New("the platform needs a store, an event bus, a key wrapper and a job queue")
	}
	if c.Passwords == nil {
		c.Passwords = auth.NewHasher(auth.DefaultCost(), 4)
	}
	if c.Limits == nil {
		c.Limits = ratelimit.NewMemory()
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Settle == 0 {
		c.Settle = time.Second
	}
	if c.Webhooks == nil {
		c.Webhooks = webhook.New(webhook.Config{})
	}
	policy, err := c.Usage.Complete()
	if err != nil {
		return nil, err
	}
	in := &core.Core{Store: c.Store, Bus: c.Bus, Keys: c.Keys, Jobs: c.Jobs, Limits: c.Limits, Log: c.Logger}
	in.HideUsers()
	known := clocks.NewClocks(c.Limits)
	seen, past := views.New(in), history.New(in, policy)
	bring := rollouts.New(in, known, c.Settle)
	people := signin.New(in, c.Passwords, c.PrivateNetworks)
	return &Platform{
		core:              in,
		people:            people,
		providersService:  people.Providers(),
		historyService:    past,
		viewsService:      seen,
		catalogService:    catalog.New(in),
		firmkeysService:   firmkeys.New(in, firmkeys.KeyFileWork),
		rulesetsService:   rulesets.New(in, rulesets.CheckTime),
		containersService: containers.New(in),
		accountsService:   accounts.New(in, c.Passwords),
		membersService:    members.New(in),
		tenantsService:    tenants.New(in),
		clocksService:     clocks.New(in, known),
		ordersService:     orders.New(in),
		rolloutsService:   bring,
		ticketsService:    tickets.New(in, bring),
		plansService:      plans.New(in, bring),
		enrollmentService: enrollments.New(in),
		provisionService:  provision.New(in),
		linksService:      links.New(in, seen, past),
		webhooksService:   webhooks.New(in, c.Webhooks),
	}, nil
}

// People has how people sign in, and what they see to for themselves.
func (p *Platform) People() *signin.Service { return p.people }

// Store is where the platform keeps everything.
func (p *Platform) Store() *store.Store { return p.core.Store }

// Bus tells of changes.
func (p *Platform) Bus() event.Bus { return p.core.Bus }
