package roles

import (
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/quorate/quorate/internal/license"
	"github.com/quorate/quorate/internal/ratelimit"
	"github.com/quorate/quorate/resolvers"
	"github.com/quorate/quorate/resolvers/documents"
)

// limitFlags say what callers of the platform's API may do.
type limitFlags struct {
	PointsPerCaller       int    `help:"How much one API token or member may ask for in a minute, in points of what operations cost (docs/api-limits.md); 0: no limit." default:"500000" env:"QUORATE_POINTS_PER_CALLER"`
	PointsPerOrganization int    `help:"How much an organization's tokens and members may ask for together; 0: no limit." default:"2000000" env:"QUORATE_POINTS_PER_ORGANIZATION"`
	PersistedOnly         string `help:"A JSON file of GraphQL documents by SHA-256, or a folder of *.graphql files: callers without an API token may execute these alone." placeholder:"FILE" env:"QUORATE_PERSISTED_ONLY"`
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
	if f.PersistedOnly == "" {
		return c, nil
	}
	var err error
	c.Registered, err = resolvers.LoadDocuments(f.PersistedOnly)
	return c, err
}

// counting is what counts for all replicas: in Redis, or without one (nil) in this
// process.
func counting(rdb redis.UniversalClient, log *slog.Logger) (ratelimit.Limiter, documents.Cache) {
	if rdb == nil {
		return ratelimit.NewMemory(), documents.NewLocal()
	}
	return ratelimit.NewShared(rdb, log), documents.NewShared(rdb, log)
}
