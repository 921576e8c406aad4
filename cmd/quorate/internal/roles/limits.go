package roles

import (
	"io/fs"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/quorate/quorate/frontend"
	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/ratelimit"
	"github.com/quorate/quorate/resolvers"
	"github.com/quorate/quorate/resolvers/documents"
)

// limitFlags say what callers of the platform's API may do.
type limitFlags struct {
	PointsPerCaller       int      `help:"How much one API token or member may ask for in a minute, in points of what operations cost (docs/api-limits.md); 0: no limit." default:"500000" env:"QUORATE_POINTS_PER_CALLER"`
	PointsPerOrganization int      `help:"How much an organization's tokens and members may ask for together; 0: no limit." default:"2000000" env:"QUORATE_POINTS_PER_ORGANIZATION"`
	PersistedOnly         []string `help:"Callers without an API token may execute these GraphQL documents alone: a JSON file of them by SHA-256, a folder of *.graphql files, or the word dashboard for the dashboard's own. May be repeated." placeholder:"FILE" env:"QUORATE_PERSISTED_ONLY"`
}

// limitConfig is what they mean. The zero value limits nobody.
type limitConfig struct {
	Rates      resolvers.Rates
	Registered *documents.Registered
}

func (f limitFlags) config() (limitConfig, error) {
	var c limitConfig
	for flag, one := range map[string]struct {
		points int
		into   *ratelimit.Rate
	}{
		"--points-per-caller":       {f.PointsPerCaller, &c.Rates.Caller},
		"--points-per-organization": {f.PointsPerOrganization, &c.Rates.Organization},
	} {
		if one.points < 0 || one.points > ratelimit.MostBurst {
			return limitConfig{}, license.Errorf(license.CodeInvalidInput, "give a number of points, or 0 for no limit", "%s %d is not possible", flag, one.points)
		}
		*one.into = ratelimit.Rate{Burst: one.points, Per: time.Minute}
	}
	if len(f.PersistedOnly) == 0 {
		return c, nil
	}
	var all []*documents.Registered
	for _, from := range f.PersistedOnly {
		one, err := registered(from)
		if err != nil {
			return limitConfig{}, err
		}
		all = append(all, one)
	}
	var err error
	if c.Registered, err = documents.Union(all...); err != nil {
		return limitConfig{}, err
	}
	return c, resolvers.CheckDocuments(c.Registered)
}

// registered reads the documents of a file or a folder, or those that the dashboard
// was built with.
func registered(from string) (*documents.Registered, error) {
	if from != "dashboard" {
		return documents.Load(from)
	}
	text, err := fs.ReadFile(frontend.Files(), "documents.json")
	if err != nil {
		return nil, license.Errorf(license.CodeInvalidInput, "build it with make build, or leave the dashboard's documents out", "the dashboard was not built into this program")
	}
	return documents.Parse(text)
}

// counting is what counts for all replicas: in Redis, or without one (nil) in this
// process.
func counting(rdb redis.UniversalClient, log *slog.Logger) (ratelimit.Limiter, documents.Cache) {
	if rdb == nil {
		return ratelimit.NewMemory(), documents.NewLocal()
	}
	return ratelimit.NewShared(rdb, log), documents.NewShared(rdb, log)
}
