package roles

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func TestRedisLogsWhenVerbose(t *testing.T) {
	for level, want := range map[slog.Level]bool{slog.LevelInfo: false, slog.LevelDebug: true} {
		var b bytes.Buffer
		redisLog{slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: level}))}.Printf(t.Context(), "dial %s", "failed")
		if got := strings.Contains(b.String(), "level=DEBUG msg=\"redis: dial failed\""); got != want || !want && b.Len() > 0 {
			t.Errorf("%v: %q", level, b.String())
		}
	}
}
