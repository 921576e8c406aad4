-- Whether a request is granted, by the rules of package lease. An asker is a
-- request, or a waiter: product, mode, station, client, licenses, tags, caps
-- ({tag, most}), holds ({tag, least}), and own, the lowest seat that lingers for
-- him.

-- belongs says whether a handle's tags put it into an account.
local function belongs(tags, account)
	return string.sub(account, 1, 4) ~= 'tag:' or has(tags, string.sub(account, 5))
end

-- change is by how much an account changes with the asker added, where it belongs
-- there, and own taken away.
local function change(a, account)
	local own = account ~= 'living' and a.own and belongs(a.own.tags, account) and a.own or nil
	local adds = belongs(a.tags, account) and a.licenses or 0
	if a.mode == 'STATION_SHARE' then
		local most = peak(a, account)
		return math.max(own and peak(a, account, own.id) or most, adds) - most
	end
	return adds - (own and own.licenses or 0)
end

-- barred gives the word for a station or a cap that refuses, or nil.
local function barred(a)
	local there = tonumber(call('HGET', STATIONS, a.product .. '\n' .. place(a.station)) or '0')
	if there >= 4294967296 or (a.mode == 'EXCLUSIVE' and there > 0) then return {'BUSY'} end
	for _, cap in ipairs(a.caps) do
		local by = change(a, 'tag:' .. cap[1])
		if by > 0 then
			local taken = balance(a.product, 'tag:' .. cap[1])
			if taken + by > cap[2] then return {'LIMIT', cap[1], text(cap[2]), text(taken)} end
		end
	end
	return nil
end

-- keeps is what a hold keeps back once its tag takes by more.
local function keeps(p, hold, by) return math.max(hold[2] - balance(p, 'tag:' .. hold[1]) - by, 0) end

-- heldBack is what is kept back from an asker, and the first tag it is kept for.
local function heldBack(a)
	local held, rule = 0, ''
	for _, hold in ipairs(a.holds) do
		local n = keeps(a.product, hold, change(a, 'tag:' .. hold[1]))
		if n > 0 and held == 0 then rule = hold[1] end
		held = held + n
	end
	return held, rule
end

-- before is what somebody who waits would add, and so has a right to before an
-- asker who adds so much; nothing where he could not have it now.
local function before(w, a, adds)
	w.own = lingersFor(w)
	if barred(w) then return 0 end
	local freed = 0 -- of what is kept back from him
	for _, hold in ipairs(w.holds) do
		freed = freed + keeps(w.product, hold, 0) - keeps(w.product, hold, change(a, 'tag:' .. hold[1]))
	end
	if freed >= adds then return 0 end
	return math.max(change(w, 'all'), 0)
end

-- decide gives the word for why a request is refused, with what was held back and
-- the tag that refused, or nil. Those of the queue whose member is below another
-- stand before it.
local function decide(a, quantity, below)
	if not takes(a) then return nil end
	local no = barred(a)
	if no then return no end
	local living, by = change(a, 'living'), change(a, 'all')
	local full = living > 0 and balance(a.product, 'living') + living > quantity
	if not full and by <= 0 then return nil end
	local all = balance(a.product, 'all') + by
	local held, rule = heldBack(a)
	local ahead, from = 0, '-'
	while waiters > 0 and not full and all + ahead <= quantity do
		local some = call('ZRANGEBYLEX', queueKey(a.product), from, '(' .. below, 'LIMIT', 0, 16)
		for _, member in ipairs(some) do
			if all + ahead > quantity then break end
			local w = waiter(string.sub(member, 28))
			if w.licenses <= quantity then ahead = ahead + before(w, a, by) end
			from = '(' .. member
		end
		if #some < 16 then break end
	end
	if not full and all + held + ahead <= quantity then return nil end
	if full or all + ahead > quantity then rule = '' end
	return {'FULL', held, rule}
end
