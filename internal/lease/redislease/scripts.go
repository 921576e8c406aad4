package redislease

import (
	"embed"
	"strings"

	"github.com/redis/go-redis/v9"
)

//go:embed lua
var files embed.FS

// script joins parts from lua/.
func script(names ...string) *redis.Script {
	var all strings.Builder
	for _, name := range names {
		b, err := files.ReadFile("lua/" + name + ".lua")
		if err != nil {
			panic(err) // it is not embedded
		}
		all.Write(b)
	}
	return redis.NewScript(all.String())
}

func seatScript(names ...string) *redis.Script {
	return script(append([]string{"core", "accounts", "handles", "queue"}, names...)...)
}

// The scripts, with their digests.
var (
	renewScript   = script("core", "renew")
	accessScript  = seatScript("decide", "access")
	confirmScript = seatScript("find", "confirm")
	releaseScript = seatScript("find", "release")
	removeScript  = seatScript("remove")
	askScript     = seatScript("ask")
	denyScript    = seatScript("deny")
	leaveScript   = seatScript("leave")
	waitingScript = seatScript("waiting")
	expireScript  = seatScript("expire")
	nextScript    = seatScript("next")
	listScript    = seatScript("list")
	usageScript   = seatScript("usage")
	claimScript   = seatScript("convert", "claim")
)
