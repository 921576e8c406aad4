local function seatField(p, seat) return p .. '/' .. text(seat) end
local function freeMember(p, seat) return p .. '/' .. string.format('%010.0f', seat) end
local function dueKey(p) return PREFIX .. 'due:' .. p end
local function overKey(p) return PREFIX .. 'over:' .. p end
local function orderKey(p) return PREFIX .. 'order:' .. p end

-- n of a seat, and who holds it.
local function seatOf(p, seat)
	local v = call('HGET', SEATS, seatField(p, seat))
	if not v then return 0, nil end
	local n, holder = string.match(v, '^(%d+) ?(.*)$')
	if holder == '' then holder = nil end
	return tonumber(n), holder
end

local function hold(h)
	call('HSET', SEATS, seatField(h.product, h.seat), text(h.n) .. ' ' .. h.id)
	local f = figures(h.product)
	if h.seat <= f.high then
		call('ZREM', FREE, freeMember(h.product, h.seat))
	elseif h.seat == f.high + 1 then
		f.high = h.seat
	end
end

-- A handle of an earlier format may have no seat: it has the number 0.
local function free(h)
	if h.seat == 0 then return end
	call('HSET', SEATS, seatField(h.product, h.seat), text(h.n))
	if h.seat <= figures(h.product).high then call('ZADD', FREE, 0, freeMember(h.product, h.seat)) end
end

-- lowest gives the lowest free seat, or nil where the budget is used up.
local function lowest(p)
	local found = call('ZRANGEBYLEX', FREE, '[' .. p .. '/', '(' .. p .. '0', 'LIMIT', 0, 1)
	if #found > 0 then return tonumber(string.sub(found[1], #p + 2)) end
	local f = figures(p)
	while budget > 0 do
		local _, holder = seatOf(p, f.high + 1)
		if not holder then return f.high + 1 end
		f.high, budget = f.high + 1, budget - 1
	end
	write(p)
	return nil
end

-- soon says that something of a product runs out at a time; the set has the
-- earliest, or an earlier time where that one was renewed since.
local function soon(p, at) call('ZADD', SOON, 'LT', text(at), p) end

-- A lingering record: product, seat, n, linger time, content, the member of OWN
-- by which its holder finds it, since when, mode, station, licenses, tags.
local function lingering(id)
	local packed = call('HGET', LINGERS, id)
	if not packed then return nil end
	local r = cmsgpack.unpack(packed)
	return {id = id, product = r[1], seat = r[2], n = r[3], linger = r[4], content = r[5], own = r[6], since = r[7],
		mode = r[8], station = r[9], licenses = r[10], tags = r[11]}
end

local function keepLinger(l)
	call('HSET', LINGERS, l.id, cmsgpack.pack({l.product, l.seat, l.n, l.linger, l.content, l.own, l.since,
		l.mode, l.station, l.licenses, l.tags}))
end

local function overScore(l) return tonumber(call('ZSCORE', overKey(l.product), l.id) or '0') end
local function overOf(l, s) return deadline(s, l.since, l.linger) end

-- holder is what the members of OWN begin with for whom a handle's seat lingers.
local function holder(h)
	local who = {h.mode, h.station}
	if h.mode ~= 'STATION_SHARE' then
		local c = cjson.decode(h.client)
		who = {h.mode, h.station, c.address or '', c.user or '', c.application or ''}
	end
	return h.product .. '/' .. redis.sha1hex(table.concat(who, '\n')) .. '/'
end

-- unlinger ends a linger; the seat is free then.
local function unlinger(l)
	call('HDEL', LINGERS, l.id)
	call('ZREM', overKey(l.product), l.id)
	call('ZREM', OWN, l.own)
	lingers = call('HINCRBY', GROUP, 'lingers', -1)
	bookAll(l, -1)
	write(l.product)
	free(l)
end

-- lingersFor gives the lowest seat that lingers for a request's holder, or nil.
-- What has run out was swept before.
local function lingersFor(r)
	if lingers == 0 then return nil end
	local from = holder(r)
	local found = call('ZRANGEBYLEX', OWN, '[' .. from, '(' .. from .. ':', 'LIMIT', 0, 1)
	if #found == 0 then return nil end
	local _, id = seatOf(r.product, tonumber(string.sub(found[1], #from + 1)))
	return lingering(id)
end

-- begin starts a handle; its seat is free.
local function begin(h)
	h.first, h.last, h.due, h.accesses, h.idle, h.notice = now, now, now + h.lease, 1, 0, false
	save(h)
	call('ZADD', dueKey(h.product), text(h.due), h.id)
	call('ZADD', orderKey(h.product), text(now), h.id)
	soon(h.product, h.due)
	hold(h)
	bookLiving(h, 1)
	bookAll(h, 1)
	write(h.product)
	event('GRANTED', h)
end

-- finish ends a handle; its seat is free then, or lingers for a time.
local function finish(h, kind, by, time)
	call('HDEL', HANDLES, h.id)
	call('ZREM', dueKey(h.product), h.id)
	call('ZREM', orderKey(h.product), h.id)
	bookLiving(h, -1)
	if time and time > 0 and h.seat > 0 and takes(h) then
		h.own, h.linger, h.since = holder(h) .. string.format('%010.0f', h.seat), time, now
		keepLinger(h)
		call('ZADD', overKey(h.product), text(now + time), h.id)
		call('ZADD', OWN, 0, h.own)
		lingers = call('HINCRBY', GROUP, 'lingers', 1)
		soon(h.product, now + time)
	else
		bookAll(h, -1)
		free(h)
	end
	write(h.product)
	call('HSET', ENDED, h.id, cmsgpack.pack({kind, h.product, h.n, h.content}))
	call('ZADD', ENDINGS, text(now), h.id)
	-- Two for each one that comes, so that what is remembered shrinks to its bounds.
	for _ = 1, 2 do
		local oldest = call('ZRANGE', ENDINGS, 0, 0, 'WITHSCORES')
		if #oldest == 0 or (tonumber(oldest[2]) > now - endedFor and call('ZCARD', ENDINGS) <= mostEnded) then break end
		call('ZREM', ENDINGS, oldest[1])
		call('HDEL', ENDED, oldest[1])
	end
	event(kind, h, nil, by)
end

-- lapsed ends the lingers that are over, and the handles of a product whose lease
-- has run out, as far as the budget goes. It gives how many.
local function lapsed(p)
	local ended = 0
	local ids = lingers > 0 and call('ZRANGEBYSCORE', overKey(p), '-inf', text(now), 'LIMIT', 0, budget) or {}
	for _, id in ipairs(ids) do
		local l = lingering(id)
		local s = overScore(l)
		local over = overOf(l, s)
		if over <= now then
			unlinger(l)
			ended = ended + 1
		else
			call('ZADD', overKey(p), text(over), id)
		end
	end
	budget = budget - #ids
	if budget == 0 then return ended end
	ids = call('ZRANGEBYSCORE', dueKey(p), '-inf', text(now), 'LIMIT', 0, budget)
	for _, id in ipairs(ids) do
		local h = load(id)
		if dueOf(h) <= now then
			finish(h, 'EXPIRED')
			ended = ended + 1
		else
			call('ZADD', dueKey(p), text(dueOf(h)), id)
		end
	end
	budget = budget - #ids
	return ended
end

-- moves bounds how many a script moves that were renewed since they were last
-- looked at, where it only asks what comes first.
local moves = 50

-- earliest is when the first lease or linger of a product runs out; nil when
-- there is none. It may be too early where moves are used up.
local function earliest(p)
	local first = nil
	for _, lease in ipairs({true, false}) do
		while lease or lingers > 0 do
			local key = lease and dueKey(p) or overKey(p)
			local found = call('ZRANGE', key, 0, 0, 'WITHSCORES')
			if #found == 0 then break end
			local s, at = tonumber(found[2])
			if lease then at = dueOf(load(found[1])) else at = overOf(lingering(found[1]), s) end
			if at == s or moves <= 0 then
				first = math.min(first or math.huge, s)
				break
			end
			call('ZADD', key, text(at), found[1])
			moves = moves - 1
		end
	end
	return first
end

local function ended(id)
	local packed = call('HGET', ENDED, id)
	if not packed then return nil end
	local r = cmsgpack.unpack(packed)
	return {kind = r[1], product = r[2], n = r[3], content = r[4]}
end
