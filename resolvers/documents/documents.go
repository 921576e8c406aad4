// Package documents keeps GraphQL documents by their digest (SHA-256, in hex), so
// that clients need not send them each time, and knows those that an operator has
// registered.
package documents

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"time"

	"github.com/99designs/gqlgen/graphql/handler/lru"
	"github.com/redis/go-redis/v9"
)

// The bounds of what is kept; a larger document is sent each time.
const (
	mostKept = 2_000
	// MostKept is how large a document may be to be kept, in bytes.
	MostKept = 16 << 10
)

// Digest is what a document is known by.
func Digest(document string) string {
	sum := sha256.Sum256([]byte(document))
	return hex.EncodeToString(sum[:])
}

// Cache keeps documents that clients sent with their digest: those of all tenants,
// since what a document may read is decided when it is executed. The longest
// unused ones are forgotten. Safe for concurrent use.
type Cache interface {
	// Get gives the document with a digest, if it is kept.
	Get(ctx context.Context, digest string) (string, bool)
	// Add keeps a document that is valid.
	Add(ctx context.Context, digest, document string)
}

// Local keeps documents in this process.
type Local struct{ kept *lru.LRU[string] }

var _ Cache = Local{}

// NewLocal is empty.
func NewLocal() Local { return Local{lru.New[string](mostKept)} }

// Get implements Cache.
func (l Local) Get(ctx context.Context, digest string) (string, bool) { return l.kept.Get(ctx, digest) }

// Add implements Cache.
func (l Local) Add(ctx context.Context, digest, document string) {
	if len(document) <= MostKept {
		l.kept.Add(ctx, digest, document)
	}
}

// Shared keeps documents in Redis for all replicas, and in this process in front
// of it. Without Redis clients send documents that this process doesn't know
// once more.
type Shared struct {
	local  Local
	client redis.UniversalClient
	log    *slog.Logger
	most   int
	get    *redis.Script
	add    *redis.Script
}

var _ Cache = (*Shared)(nil)

const (
	keyDocuments = "quorate:documents:{all}:text" // by digest
	keyUsed      = "quorate:documents:{all}:used" // digests by when they were last used
	// answerTime is how long Redis may take: what waits for it is a request.
	answerTime = 250 * time.Millisecond
	// KEYS: the texts, the uses. ARGV: a digest.
	getScript = `
local text = redis.call('HGET', KEYS[1], ARGV[1])
if text then
  local time = redis.call('TIME')
  redis.call('ZADD', KEYS[2], time[1] * 1000000 + time[2], ARGV[1])
end
return text`
	// KEYS: the texts, the uses. ARGV: a digest, its text, how many are kept.
	addScript = `
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], time[1] * 1000000 + time[2], ARGV[1])
local over = redis.call('ZCARD', KEYS[2]) - tonumber(ARGV[3])
if over > 0 then
  for _, digest in ipairs(redis.call('ZRANGE', KEYS[2], 0, over - 1)) do redis.call('HDEL', KEYS[1], digest) end
  redis.call('ZREMRANGEBYRANK', KEYS[2], 0, over - 1)
end
return 1`
)

// NewShared keeps documents in the Redis of client, which stays the caller's to
// close.
func NewShared(client redis.UniversalClient, log *slog.Logger) *Shared {
	return &Shared{NewLocal(), client, log, mostKept, redis.NewScript(getScript), redis.NewScript(addScript)}
}

// Get implements Cache. What Redis gives is checked: it may be another's.
func (s *Shared) Get(ctx context.Context, digest string) (string, bool) {
	if text, ok := s.local.Get(ctx, digest); ok {
		return text, true
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	text, err := s.get.Run(ctx, s.client, []string{keyDocuments, keyUsed}, digest).Text()
	if err != nil {
		if !errors.Is(err, redis.Nil) {
			s.log.DebugContext(ctx, "no documents from Redis", "err", err)
		}
		return "", false
	}
	if Digest(text) != digest {
		s.log.WarnContext(ctx, "Redis has another document under a digest", "digest", digest)
		return "", false
	}
	s.local.Add(ctx, digest, text)
	return text, true
}

// Add implements Cache.
func (s *Shared) Add(ctx context.Context, digest, document string) {
	if _, ok := s.local.Get(ctx, digest); ok || len(document) > MostKept {
		return
	}
	s.local.Add(ctx, digest, document)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerTime)
	defer cancel()
	if err := s.add.Run(ctx, s.client, []string{keyDocuments, keyUsed}, digest, document, s.most).Err(); err != nil {
		s.log.DebugContext(ctx, "a document was not kept in Redis", "err", err)
	}
}
