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

-- A record: product, mode, seat, n, lease, first and last access, when the lease
-- runs out but for what a claim adds, accesses, content's digest, client, station;
-- and where any of them is set: licenses, tags, borrowed, idle, notice.
local function load(id)
	local packed = call('HGET', HANDLES, id)
	if not packed then return nil end
	local r = cmsgpack.unpack(packed)
	return {id = id, product = r[1], mode = r[2], seat = r[3], n = r[4], lease = r[5],
		first = r[6], last = r[7], due = r[8], accesses = r[9], content = r[10], client = r[11], station = r[12],
		licenses = r[13] or 1, tags = r[14] or {}, borrowed = r[15] or false, idle = r[16] or 0, notice = r[17] or false}
end

local function save(h)
	local r = {h.product, h.mode, h.seat, h.n, h.lease, h.first, h.last, h.due, h.accesses, h.content, h.client, h.station}
	if h.licenses ~= 1 or #h.tags > 0 or h.borrowed or h.idle > 0 or h.notice then
		r[13], r[14], r[15], r[16], r[17] = h.licenses, #h.tags > 0 and h.tags, h.borrowed, h.idle, h.notice
	end
	call('HSET', HANDLES, h.id, cmsgpack.pack(r))
end

-- deadline gives what a claim made of the end of a lease or linger that began
-- at from: at least its full time and the margin from the claim on.
local function deadline(due, from, time)
	if from >= claimed then return due end
	return math.max(due, claimed + margin + time)
end

local function dueOf(h) return deadline(h.due, h.last, h.lease) end

-- renew starts a lease anew. A deadline that a claim set further away stays. The
-- handle's score stays too: it is moved once it is reached.
local function renew(h, idle)
	h.due, h.last = math.max(dueOf(h), now + h.lease), now
	if idle then h.idle = idle end
	save(h)
end

local function granted(h, repeated)
	local notice = h.notice or {'', '', ''}
	return {'OK', text(h.seat), text(h.n), text(h.lease), repeated or '', h.mode, text(h.licenses),
		notice[1], notice[2], notice[3]}
end
