-- Earlier versions kept the epoch in a hash "meta", all deadlines in "due" and
-- "over", and of lingers and handles less. Their "meta" is a text now, on which
-- they fail before they change anything, also where they still run.
local OLD, OLDDUE, OLDOVER = PREFIX .. 'meta', PREFIX .. 'due', PREFIX .. 'over'

local function convertHandle(id)
	local packed = call('HGET', HANDLES, id)
	if not packed then return end
	local r = cmsgpack.unpack(packed)
	local h = {id = id, product = r[1], mode = r[2], seat = r[3], n = r[4], lease = r[5], first = r[6], last = r[7],
		due = tonumber(call('ZSCORE', OLDDUE, id)), accesses = r[8], content = r[9], client = r[10],
		station = cjson.decode(r[10]).station or '', licenses = 1, tags = {}, borrowed = false, idle = 0, notice = false}
	save(h)
	call('ZADD', orderKey(h.product), text(h.first), id)
	soon(h.product, h.due)
	bookLiving(h, 1)
	bookAll(h, 1)
	write(h.product)
end

local function convertLinger(id)
	local packed = call('HGET', LINGERS, id)
	if not packed then return end
	local r = cmsgpack.unpack(packed)
	local over = tonumber(call('ZSCORE', OLDOVER, id))
	local l = {id = id, product = r[1], seat = r[2], n = r[3], linger = r[4], content = r[5], own = r[6],
		since = over - r[4], mode = 'USER_LIMIT', station = '', licenses = 1, tags = {}}
	keepLinger(l)
	call('HINCRBY', GROUP, 'lingers', 1)
	soon(l.product, over)
	bookAll(l, 1)
	write(l.product)
end

-- converted makes some of the way from the earlier format, and says whether that
-- was all.
local function converted()
	local kind = call('TYPE', OLD).ok
	if kind == 'hash' then
		local was = call('HMGET', OLD, 'epoch', 'position')
		call('HSET', GROUP, 'epoch', text(math.max(tonumber(was[1] or '0') + 1, now)), 'position', was[2] or '0')
		for _, field in ipairs(call('HKEYS', POOLS)) do
			local p = string.match(field, '^(.*)/high$')
			if p then
				figures(p).high = tonumber(call('HGET', POOLS, field))
				write(p)
			end
			call('HDEL', POOLS, field)
		end
	end
	if kind ~= 'string' then
		call('DEL', OLD)
		call('SET', OLD, 'format 2: these seats are kept by a newer version')
	end
	for _, old in ipairs({{OLDDUE, convertHandle}, {OLDOVER, convertLinger}}) do
		for _, id in ipairs(call('ZRANGE', old[1], 0, budget - 1)) do
			old[2](id)
			call('ZREM', old[1], id)
			budget = budget - 1
		end
		if budget == 0 then return false end
	end
	return true
end
