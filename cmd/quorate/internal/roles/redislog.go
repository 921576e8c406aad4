package roles

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9"
)

// LogRedis has the Redis library write to the process's log, and only when it is
// verbose: a Redis that doesn't answer is reported by those who asked it, while
// the library has a line for each try.
func LogRedis(logger *slog.Logger) { redis.SetLogger(redisLog{logger}) }

type redisLog struct{ logger *slog.Logger }

// Printf implements the library's logger.
func (r redisLog) Printf(ctx context.Context, format string, v ...any) {
	if r.logger.Enabled(ctx, slog.LevelDebug) {
		r.logger.DebugContext(ctx, "redis: "+fmt.Sprintf(format, v...))
	}
}
