-- What every script begins with. KEYS are the group's keys in a fixed order;
-- the due and over sets of single products have the same hash tag. ARGV[1] is the
-- caller's epoch ("" for none), ARGV[2] the product or "", ARGV[3] how many
-- events are kept, ARGV[4] how many ended handles, ARGV[5] for how long (µs).
-- Numbers stay below 2^53, so Lua's are exact; text of them needs %.0f.
local META, HANDLES, DUE, SEATS, FREE, POOLS, ENDED, ENDINGS, EVENTS, LINGERS, OVER, OWN =
	KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12]
local call = redis.call
local epoch, product = ARGV[1], ARGV[2]
local mostEvents, mostEnded, endedFor = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])

local clock = call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])

local function text(n) return string.format('%.0f', n) end

local function fenced() return call('HGET', META, 'epoch') ~= epoch end

-- A record: product, mode, seat, n, lease, first and last access, accesses,
-- then what Go alone reads: the content's digest and the client.
local function load(id)
	local packed = call('HGET', HANDLES, id)
	if not packed then return nil end
	local r = cmsgpack.unpack(packed)
	return {id = id, product = r[1], mode = r[2], seat = r[3], n = r[4], lease = r[5],
		first = r[6], last = r[7], accesses = r[8], content = r[9], client = r[10]}
end

local function save(h)
	call('HSET', HANDLES, h.id, cmsgpack.pack({h.product, h.mode, h.seat, h.n, h.lease,
		h.first, h.last, h.accesses, h.content, h.client}))
end

local function due(id) return tonumber(call('ZSCORE', DUE, id) or '0') end

local function seatField(p, seat) return p .. '/' .. text(seat) end
local function freeMember(p, seat) return p .. '/' .. string.format('%010.0f', seat) end

-- n of a seat, and who holds it.
local function seatOf(p, seat)
	local v = call('HGET', SEATS, seatField(p, seat))
	if not v then return 0, nil end
	local n, holder = string.match(v, '^(%d+) ?(.*)$')
	if holder == '' then holder = nil end
	return tonumber(n), holder
end

local function count(p, field, by)
	local key = p .. '/' .. field
	local n = call('HINCRBY', POOLS, key, by)
	if n == 0 then call('HDEL', POOLS, key) end
	return n
end

local function counted(p, field) return tonumber(call('HGET', POOLS, p .. '/' .. field) or '0') end

local function event(kind, h, reason, by)
	local last = tonumber(call('HGET', META, 'position') or '0')
	local position = math.max(last + 1, now)
	call('HSET', META, 'position', text(position))
	call('XADD', EVENTS, 'MAXLEN', '~', mostEvents, text(position) .. '-0',
		'kind', kind, 'at', text(now), 'handle', h.id, 'product', h.product, 'mode', h.mode,
		'seat', text(h.seat), 'n', text(h.n), 'client', h.client, 'reason', reason or '', 'by', by or '')
end

-- A lingering record: product, seat, n, linger time, content, and the member of
-- OWN by which its holder finds it.
local function lingering(id)
	local packed = call('HGET', LINGERS, id)
	if not packed then return nil end
	local r = cmsgpack.unpack(packed)
	return {id = id, product = r[1], seat = r[2], n = r[3], linger = r[4], content = r[5], own = r[6]}
end

local function over(id) return tonumber(call('ZSCORE', OVER, id) or '0') end

-- holder is what the members of OWN begin with for whom a handle's seat lingers:
-- the client without its process. No text has a control character.
local function holder(h)
	local c = cjson.decode(h.client)
	local who = {h.mode, c.station or '', c.address or '', c.user or '', c.application or ''}
	return h.product .. '/' .. redis.sha1hex(table.concat(who, '\n')) .. '/'
end

-- linger keeps the seat of a handle that was just released.
local function linger(h, time)
	local own, till = holder(h) .. string.format('%010.0f', h.seat), text(now + time)
	call('HSET', LINGERS, h.id, cmsgpack.pack({h.product, h.seat, h.n, time, h.content, own}))
	call('ZADD', OVER, till, h.id)
	call('ZADD', OVER .. ':' .. h.product, till, h.id)
	call('ZADD', OWN, 0, own)
	call('HSET', SEATS, seatField(h.product, h.seat), text(h.n) .. ' ' .. h.id)
	call('ZREM', FREE, freeMember(h.product, h.seat))
	count(h.product, 'taken', 1)
	count(h.product, 'lingering', 1)
end

-- unlinger ends a linger; the seat is free then.
local function unlinger(l)
	call('HDEL', LINGERS, l.id)
	call('ZREM', OVER, l.id)
	call('ZREM', OVER .. ':' .. l.product, l.id)
	call('ZREM', OWN, l.own)
	call('HSET', SEATS, seatField(l.product, l.seat), text(l.n))
	if l.seat <= counted(l.product, 'high') then call('ZADD', FREE, 0, freeMember(l.product, l.seat)) end
	count(l.product, 'taken', -1)
	count(l.product, 'lingering', -1)
end

-- lingersFor gives the lowest seat that lingers for a request's client, or nil.
local function lingersFor(h)
	if counted(h.product, 'lingering') == 0 then return nil end
	local from, skip = holder(h), 0
	while true do
		local some = call('ZRANGEBYLEX', OWN, '[' .. from, '(' .. from .. ':', 'LIMIT', skip, 8)
		for _, own in ipairs(some) do
			local _, id = seatOf(h.product, tonumber(string.sub(own, #from + 1)))
			if over(id) > now then return lingering(id) end
		end
		if #some < 8 then return nil end
		skip = skip + 8
	end
end

-- begin starts a handle; its seat is free.
local function begin(h)
	h.first, h.last, h.accesses = now, now, 1
	save(h)
	call('ZADD', DUE, text(now + h.lease), h.id)
	call('ZADD', DUE .. ':' .. h.product, text(now + h.lease), h.id)
	if h.seat > 0 then
		call('HSET', SEATS, seatField(h.product, h.seat), text(h.n) .. ' ' .. h.id)
		call('ZREM', FREE, freeMember(h.product, h.seat))
		count(h.product, 'taken', 1)
		if h.seat == counted(h.product, 'high') + 1 then count(h.product, 'high', 1) end
	else
		call('HSET', SEATS, seatField(h.product, 0), text(h.n))
	end
	count(h.product, 'mode:' .. h.mode, 1)
	event('GRANTED', h)
end

-- finish ends a handle; its seat is free then.
local function finish(h, kind, by)
	call('HDEL', HANDLES, h.id)
	call('ZREM', DUE, h.id)
	call('ZREM', DUE .. ':' .. h.product, h.id)
	if h.seat > 0 then
		call('HSET', SEATS, seatField(h.product, h.seat), text(h.n))
		if h.seat <= counted(h.product, 'high') then call('ZADD', FREE, 0, freeMember(h.product, h.seat)) end
		count(h.product, 'taken', -1)
	end
	count(h.product, 'mode:' .. h.mode, -1)
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

-- expire ends up to most lingers that are over and handles whose lease has run
-- out, of a product or of all ('').
local function expire(p, most)
	local suffix = ''
	if p ~= '' then suffix = ':' .. p end
	local lingers = call('ZRANGEBYSCORE', OVER .. suffix, '-inf', text(now), 'LIMIT', 0, most)
	for _, id in ipairs(lingers) do unlinger(lingering(id)) end
	if #lingers == most then return most end
	local ids = call('ZRANGEBYSCORE', DUE .. suffix, '-inf', text(now), 'LIMIT', 0, most - #lingers)
	for _, id in ipairs(ids) do finish(load(id), 'EXPIRED') end
	return #lingers + #ids
end

-- earliest is when the first lease or linger runs out, of a product or of all
-- (''); nil when there is none.
local function earliest(p)
	local suffix, first = '', nil
	if p ~= '' then suffix = ':' .. p end
	for _, key in ipairs({DUE, OVER}) do
		local found = call('ZRANGE', key .. suffix, 0, 0, 'WITHSCORES')
		if #found > 0 then first = math.min(first or math.huge, tonumber(found[2])) end
	end
	return first
end

local function lowest(p)
	local found = call('ZRANGEBYLEX', FREE, '[' .. p .. '/', '(' .. p .. '0', 'LIMIT', 0, 1)
	if #found > 0 then return tonumber(string.sub(found[1], #p + 2)) end
	local high = counted(p, 'high')
	while true do
		local _, holder = seatOf(p, high + 1)
		if not holder then break end
		high = count(p, 'high', 1)
	end
	return high + 1
end

local function renew(h)
	h.last = now
	save(h)
	-- A deadline that a claim set further away stays.
	call('ZADD', DUE, 'GT', text(now + h.lease), h.id)
	call('ZADD', DUE .. ':' .. h.product, 'GT', text(now + h.lease), h.id)
end

local function ended(id)
	local packed = call('HGET', ENDED, id)
	if not packed then return nil end
	local r = cmsgpack.unpack(packed)
	return {kind = r[1], product = r[2], n = r[3], content = r[4]}
end

local function granted(h) return {'OK', text(h.seat), text(h.n), text(h.lease)} end

-- find gives the living handle of a reference, or nil and why not. A lost
-- handle is taken in again where its seat is free or lingers, and its n above
-- every known.
-- ARGV from 6 on: id, seat, n, mode, lease, content, client, "1" if it may be
-- taken in.
local function find()
	local id, seat, n = ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])
	local h = load(id)
	if h then
		if h.product ~= product or h.n ~= n or h.seat ~= seat then return nil, 'RELEASED' end
		if due(id) <= now then
			finish(h, 'EXPIRED')
			return nil, 'EXPIRED'
		end
		return h
	end
	local e = ended(id)
	if e then
		if e.product ~= product or e.n ~= n then return nil, 'RELEASED' end
		return nil, e.kind
	end
	local last, has = seatOf(product, seat)
	if ARGV[13] ~= '1' or n <= last or lingering(id) then return nil, 'RELEASED' end
	if has then
		local l = lingering(has)
		if l then
			unlinger(l)
		elseif due(has) > now then
			return nil, 'RELEASED'
		else
			finish(load(has), 'EXPIRED')
		end
	end
	h = {id = id, product = product, mode = ARGV[9], seat = seat, n = n, lease = tonumber(ARGV[10]),
		content = ARGV[11], client = ARGV[12]}
	begin(h)
	return h
end

if epoch ~= '' and fenced() then return {'FENCED'} end
