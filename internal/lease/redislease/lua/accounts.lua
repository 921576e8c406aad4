-- What every script but the renewal has besides. ARGV[3] is how many events are
-- kept, ARGV[4] how many ended handles, ARGV[5] for how long (µs).
local SEATS, FREE, POOLS = PREFIX .. 'seats', PREFIX .. 'free', PREFIX .. 'pools'
local ENDED, ENDINGS, EVENTS = PREFIX .. 'ended', PREFIX .. 'endings', PREFIX .. 'events'
local LINGERS, OWN, SOON = PREFIX .. 'lingers', PREFIX .. 'own', PREFIX .. 'soon'
local SHARES, STATIONS = PREFIX .. 'shares', PREFIX .. 'stations'
local mostEvents, mostEnded, endedFor = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])

-- budget bounds how many handles one script ends, moves or looks at; where it is
-- used up, the script says AGAIN and is called again.
local budget = 200

local function bump(key, field, by)
	local n = call('HINCRBY', key, field, text(by))
	if n == 0 then call('HDEL', key, field) end
	return n
end

-- How many linger and wait in the whole group: where nobody does, nothing is
-- looked for.
local lingers, waiters = tonumber(head[5] or '0'), tonumber(head[6] or '0')

-- The figures of a product: the highest seat given, the accounts, the living
-- handles of each mode and what they take. They are read once; who changes them
-- writes them.
local names = {'high', 'living', 'all', 'borrowed',
	'USER_LIMIT', 'STATION_SHARE', 'EXCLUSIVE', 'NO_USER_LIMIT',
	'living:USER_LIMIT', 'living:STATION_SHARE', 'living:EXCLUSIVE'}
local read = {}

local function figures(p)
	local f = read[p]
	if f then return f end
	local packed = call('HGET', POOLS, p)
	local list = packed and cmsgpack.unpack(packed) or {}
	f = {}
	for i, name in ipairs(names) do f[name] = list[i] or 0 end
	read[p] = f
	return f
end

local function write(p)
	local f, list = figures(p), {}
	for i, name in ipairs(names) do list[i] = f[name] end
	call('HSET', POOLS, p, cmsgpack.pack(list))
end

local function tagsKey(p) return PREFIX .. 'tags:' .. p end

local position = tonumber(head[2] or '0')

-- alike says whether a denial like this one is on record, and notes it else; of
-- more than 4,096 it forgets the oldest.
local DENIALS, denialPause = PREFIX .. 'denials', 60e6

local function alike(h, reason, rule)
	local who = {h.product, h.mode, h.station, text(h.licenses), reason, rule or ''}
	if h.mode ~= 'STATION_SHARE' then
		local c = cjson.decode(h.client)
		who[7], who[8], who[9] = c.address or '', c.user or '', c.application or ''
	end
	call('ZREMRANGEBYSCORE', DENIALS, '-inf', text(now - denialPause))
	if call('ZADD', DENIALS, 'NX', text(now), redis.sha1hex(table.concat(who, '\n'))) == 0 then return true end
	call('ZREMRANGEBYRANK', DENIALS, 0, -4097)
	call('PEXPIRE', DENIALS, text(denialPause / 1000))
	return false
end

local function event(kind, h, reason, by, rule)
	if kind == 'DENIED' and alike(h, reason, rule) then return end
	position = math.max(position + 1, now)
	local counter = 'seq:' .. string.match(h.product, '^%d+')
	local seq = tonumber(call('HGET', GROUP, counter) or '0') + 1
	call('HSET', GROUP, 'position', text(position), counter, text(seq))
	call('XADD', EVENTS, 'MAXLEN', '~', mostEvents, text(position) .. '-0',
		'kind', kind, 'at', text(now), 'handle', h.id, 'product', h.product, 'mode', h.mode,
		'seat', text(h.seat or 0), 'n', text(h.n or 0), 'client', h.client, 'reason', reason or '', 'by', by or '',
		'station', h.station, 'licenses', text(h.licenses), 'borrowed', h.borrowed and '1' or '', 'rule', rule or '', 'seq', text(seq))
end

-- An account is a sum of licenses: 'living', 'all', 'borrowed', or 'tag:' with a
-- tag. Handles with station share are in SHARES with what they would take of an
-- account: a station takes the most among them. No text has a control character.
local function takes(h) return h.mode ~= 'NO_USER_LIMIT' end

local function place(station)
	if #station <= 40 then return '=' .. station end
	return '#' .. redis.sha1hex(station)
end

local function shares(h, account) return h.product .. '\n' .. place(h.station) .. '\n' .. account .. '\n' end

local function share(h, account) return shares(h, account) .. string.format('%010.0f', h.licenses) .. '\n' .. h.id end

-- peak is the most that a share handle of h's station takes of an account, but
-- for one with an id.
local function peak(h, account, but)
	local from = shares(h, account)
	local top = call('ZREVRANGEBYLEX', SHARES, '(' .. from .. ':', '[' .. from, 'LIMIT', 0, 2)
	for _, member in ipairs(top) do
		if string.sub(member, #from + 12) ~= but then return tonumber(string.sub(member, #from + 1, #from + 10)) end
	end
	return 0
end

local function balance(p, account)
	if string.sub(account, 1, 4) == 'tag:' then
		return tonumber(call('HGET', tagsKey(p), string.sub(account, 5)) or '0')
	end
	return figures(p)[account]
end

local function has(list, tag)
	for _, t in ipairs(list) do
		if t == tag then return true end
	end
	return false
end

-- book enters a handle into an account, or takes it out with sign -1; it gives
-- by how much the account changed.
local function book(h, account, sign)
	local by = sign * h.licenses
	if h.mode == 'STATION_SHARE' then
		local before = peak(h, account)
		if sign > 0 then
			call('ZADD', SHARES, 0, share(h, account))
			by = math.max(before, h.licenses) - before
		else
			call('ZREM', SHARES, share(h, account))
			by = peak(h, account) - before
		end
	end
	if by == 0 then return 0 end
	if string.sub(account, 1, 4) == 'tag:' then
		bump(tagsKey(h.product), string.sub(account, 5), by)
	else
		local f = figures(h.product)
		f[account] = f[account] + by
	end
	return by
end

-- bookLiving and bookAll enter a handle into the accounts of living handles, and
-- into those of living and lingering ones; write comes after.
local function bookLiving(h, sign)
	local f = figures(h.product)
	f[h.mode] = f[h.mode] + sign
	if not takes(h) then return end
	local part = 'living:' .. h.mode
	f[part] = f[part] + book(h, 'living', sign)
	if h.borrowed then book(h, 'borrowed', sign) end
	-- The station's handles, and the exclusive ones from 2^32 up.
	if h.mode == 'EXCLUSIVE' then sign = sign * 4294967297 end
	bump(STATIONS, h.product .. '\n' .. place(h.station), sign)
end

local function bookAll(h, sign)
	if not takes(h) then return end
	book(h, 'all', sign)
	for _, tag in ipairs(h.tags) do book(h, 'tag:' .. tag, sign) end
end
