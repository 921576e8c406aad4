-- What every script begins with. KEYS[1] is the group's key "…group"; all its
-- other keys differ from that in their last word and have the same hash tag.
-- ARGV[1] is the caller's epoch ("" for none), ARGV[2] the product or "".
-- Numbers stay below 2^53, so Lua's are exact; text of them needs %.0f.
local PREFIX = string.sub(KEYS[1], 1, -6)
local GROUP, HANDLES = KEYS[1], PREFIX .. 'handles'
local call = redis.call
local epoch, product = ARGV[1], ARGV[2]

local head = call('HMGET', GROUP, 'epoch', 'position', 'claimed', 'margin', 'lingers', 'waiters')
if epoch ~= '' and head[1] ~= epoch then return {'FENCED'} end

local clock = call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local claimed, margin = tonumber(head[3] or '0'), tonumber(head[4] or '0')

local function text(n) return string.format('%.0f', n) end

-- A record: product, mode, seat, n, lease, first access, last access with the
-- deadline that belongs to it, accesses, content's digest, client, station; and
-- where any of them is set: licenses, tags, borrowed, idle, notice.
local function load(id)
	local packed = call('HGET', HANDLES, id)
	if not packed then return nil end
	local r = cmsgpack.unpack(packed)
	return {id = id, product = r[1], mode = r[2], seat = r[3], n = r[4], lease = r[5],
		first = r[6], last = r[7], pin = r[8], accesses = r[9], content = r[10], client = r[11], station = r[12],
		licenses = r[13] or 1, tags = r[14] or {}, borrowed = r[15] or false, idle = r[16] or 0, notice = r[17] or false}
end

local function save(h)
	local r = {h.product, h.mode, h.seat, h.n, h.lease, h.first, h.last, h.pin, h.accesses, h.content, h.client, h.station}
	if h.licenses ~= 1 or #h.tags > 0 or h.borrowed or h.idle > 0 or h.notice then
		r[13], r[14], r[15], r[16], r[17] = h.licenses, #h.tags > 0 and h.tags, h.borrowed, h.idle, h.notice
	end
	call('HSET', HANDLES, h.id, cmsgpack.pack(r))
end

local function dueKey(p) return PREFIX .. 'due:' .. p end

-- score is when a handle's lease runs out but for what a claim adds.
local function score(h) return tonumber(call('ZSCORE', dueKey(h.product), h.id) or '0') end

-- lastOf is a handle's last access or renewal. A renewal that moves the deadline
-- to a full lease from then needs no record of its own.
local function lastOf(h, s)
	if h.pin == s then return h.last end
	return s - h.lease
end

-- deadline gives what a claim made of the end of a lease or linger that began
-- at from: at least its full time and the margin from the claim on.
local function deadline(s, from, time)
	if from >= claimed then return s end
	return math.max(s, claimed + margin + time)
end

local function dueOf(h, s) return deadline(s, lastOf(h, s), h.lease) end

-- renew starts a lease anew; s is its score. A deadline that a claim set further
-- away stays. idle is nil where nothing is told of it.
local function renew(h, s, idle)
	local due, write = dueOf(h, s), false
	if due > now + h.lease then
		h.last, h.pin, write = now, due, true
	else
		due = now + h.lease
	end
	if due ~= s then call('ZADD', dueKey(h.product), text(due), h.id) end
	if idle and idle ~= h.idle then h.idle, write = idle, true end
	if write then save(h) end
end

local function granted(h, repeated)
	local notice = h.notice or {'', '', ''}
	return {'OK', text(h.seat), text(h.n), text(h.lease), repeated or '', h.mode, text(h.licenses),
		notice[1], notice[2], notice[3]}
end
