package roles

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/quorate/quorate/internal/journal"
	"github.com/quorate/quorate/internal/journal/boltjournal"
	"github.com/quorate/quorate/internal/journal/redisjournal"
	"github.com/quorate/quorate/internal/lease"
	"github.com/quorate/quorate/internal/lease/memlease"
	"github.com/quorate/quorate/internal/lease/redislease"
	"github.com/quorate/quorate/internal/license"
)

// openLeases opens the lease store that a flag names. replicas is how many of a
// Redis must have a change before it is answered.
func openLeases(ctx context.Context, where string, replicas int, logger *slog.Logger) (lease.Store, error) {
	if where == "" { // memory alone: a restart would forget who holds which seat
		return nil, license.Errorf(license.CodeInvalidInput, "name a file with --leases, or redis://HOST:PORT/N", "no place is named to keep seats in")
	}
	if replicas < 0 {
		return nil, license.Errorf(license.CodeInvalidInput, "give --redis-replicas as 0 or more", "%d replicas can't have the seats", replicas)
	}
	if !isRedis(where) {
		if replicas > 0 {
			return nil, license.Errorf(license.CodeInvalidInput, "leave --redis-replicas out, or name a Redis with --leases", "a file has no replicas")
		}
		return memlease.Open(where, memlease.Options{Logger: logger})
	}
	rdb, err := openRedis(where)
	if err != nil {
		return nil, err
	}
	store := redislease.New(rdb, redislease.Options{Replicas: replicas})
	ctx, cancel := context.WithTimeout(ctx, redisTime)
	defer cancel()
	switch durable, err := store.Durable(ctx); {
	case err != nil:
		return nil, errors.Join(err, store.Close(), rdb.Close())
	case !durable:
		logger.Warn("Redis keeps no append-only file: a crash of Redis loses who holds which seat; set appendonly yes and appendfsync always")
	}
	return ownedRedis{store, rdb}, nil
}

// isRedis says whether a flag names a Redis rather than a file.
func isRedis(where string) bool {
	return strings.HasPrefix(where, "redis://") || strings.HasPrefix(where, "rediss://")
}

// redisTime is how long a start waits for Redis.
const redisTime = 10 * time.Second

// ownedRedis closes the connection with the store.
type ownedRedis struct {
	lease.Store
	rdb redis.UniversalClient
}

func (o ownedRedis) Close() error { return errors.Join(o.Store.Close(), o.rdb.Close()) }

// openRedis reads redis://HOST:PORT/N, or several nodes of a cluster by
// ?addr=HOST:PORT. A call ends with its context: a Redis that hangs must hold
// up neither an election nor a stop.
func openRedis(where string) (redis.UniversalClient, error) {
	u, err := url.Parse(where)
	if err == nil && u.Query().Has("addr") {
		var o *redis.ClusterOptions
		if o, err = redis.ParseClusterURL(where); err == nil {
			o.ContextTimeoutEnabled = true
			return redis.NewClusterClient(o), nil
		}
	}
	var o *redis.Options
	if err == nil {
		if o, err = redis.ParseURL(where); err == nil {
			o.ContextTimeoutEnabled = true
			return redis.NewClient(o), nil
		}
	}
	return nil, license.Errorf(license.CodeInvalidInput, "write it as redis://HOST:PORT/N", "the Redis address can't be read") // the cause may show the password
}

// seatJournal is a backend's journal of seats, with what it is kept in.
type seatJournal interface {
	journal.Journal
	io.Closer
}

// openJournal opens the journal of seats that a flag names, for a container.
func openJournal(ctx context.Context, where string, serial license.Serial) (seatJournal, error) {
	switch {
	case where == "":
		return nil, license.Errorf(license.CodeInvalidInput, "name a file with --journal, or redis://HOST:PORT/N", "no place is named to keep the journal of seats in")
	case isRedis(where), strings.HasPrefix(where, "unix://"):
		ctx, cancel := context.WithTimeout(ctx, redisTime)
		defer cancel()
		return redisjournal.Open(ctx, redisjournal.Config{URL: where, Group: serial})
	}
	return boltjournal.Open(where, serial)
}
