package redislease

import (
	_ "embed"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/base.lua
var base string

//go:embed lua/access.lua
var accessLua string

//go:embed lua/confirm.lua
var confirmLua string

//go:embed lua/release.lua
var releaseLua string

//go:embed lua/remove.lua
var removeLua string

//go:embed lua/expire.lua
var expireLua string

//go:embed lua/next.lua
var nextLua string

//go:embed lua/list.lua
var listLua string

//go:embed lua/usage.lua
var usageLua string

//go:embed lua/claim.lua
var claimLua string

//go:embed lua/campaign.lua
var campaignLua string

//go:embed lua/resign.lua
var resignLua string

// The scripts, with their digests.
var (
	accessScript   = redis.NewScript(base + accessLua)
	confirmScript  = redis.NewScript(base + confirmLua)
	releaseScript  = redis.NewScript(base + releaseLua)
	removeScript   = redis.NewScript(base + removeLua)
	expireScript   = redis.NewScript(base + expireLua)
	nextScript     = redis.NewScript(base + nextLua)
	listScript     = redis.NewScript(base + listLua)
	usageScript    = redis.NewScript(base + usageLua)
	claimScript    = redis.NewScript(base + claimLua)
	campaignScript = redis.NewScript(campaignLua)
	resignScript   = redis.NewScript(resignLua)
)
