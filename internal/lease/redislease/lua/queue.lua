-- Who waits. A record: product, member of the queue, mode, station, client,
-- content, licenses, tags, caps, holds, priority, since, until, place, all times
-- in microseconds.
local WAITERS = PREFIX .. 'waiters'
local mostWaiting = 256

local function queueKey(p) return PREFIX .. 'queue:' .. p end
local function placesKey(p) return PREFIX .. 'places:' .. p end

local function waiter(id)
	if waiters == 0 then return nil end
	local packed = call('HGET', WAITERS, id)
	if not packed then return nil end
	local r = cmsgpack.unpack(packed)
	return {id = id, product = r[1], member = r[2], mode = r[3], station = r[4], client = r[5], content = r[6],
		licenses = r[7], tags = r[8], caps = r[9], holds = r[10], priority = r[11], since = r[12], till = r[13], place = r[14]}
end

-- keep writes a waiter down and keeps its place from now on.
local function keep(w)
	local new = call('HSET', WAITERS, w.id, cmsgpack.pack({w.product, w.member, w.mode, w.station, w.client, w.content,
		w.licenses, w.tags, w.caps, w.holds, w.priority, w.since, w.till, w.place}))
	if new == 1 then waiters = call('HINCRBY', GROUP, 'waiters', 1) end
	call('ZADD', queueKey(w.product), 0, w.member)
	call('ZADD', placesKey(w.product), text(now + w.place), w.id)
end

local function leave(w)
	call('HDEL', WAITERS, w.id)
	waiters = call('HINCRBY', GROUP, 'waiters', -1)
	call('ZREM', queueKey(w.product), w.member)
	call('ZREM', placesKey(w.product), w.id)
end

-- lapses is when a place is lost.
local function lapses(w) return tonumber(call('ZSCORE', placesKey(w.product), w.id) or '0') end

-- lost ends the places of a product that nobody asked for in time.
local function lost(p)
	if waiters == 0 then return end
	for _, id in ipairs(call('ZRANGEBYSCORE', placesKey(p), '-inf', text(now))) do leave(waiter(id)) end
end

-- The members of a queue are in its order: priority, arrival, then the id.
local function rank(priority) return string.format('%010.0f', 2147483647 - priority) end

local function member(id, priority)
	return rank(priority) .. string.format('%016.0f', call('HINCRBY', GROUP, 'arrivals', 1)) .. '\n' .. id
end
