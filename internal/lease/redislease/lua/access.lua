-- ARGV from 6 on: id, mode, content, client, station, licenses, "1" if borrowed,
-- quantity, lease, the limits (JSON, "" for none), and of who waits the priority,
-- until and place ("" for none).
local id, content, quantity = ARGV[6], ARGV[8], tonumber(ARGV[13])
local h = load(id)
if h then
	if h.content ~= content then return {'MISMATCH'} end
	if dueOf(h) <= now then
		finish(h, 'EXPIRED')
		return {'EXPIRED'}
	end
	renew(h)
	return granted(h, '1')
end
local e = ended(id)
if e then
	if e.content ~= content then return {'MISMATCH'} end
	return {e.kind}
end
local l = lingering(id) -- its end is no longer remembered
if l then
	if l.content ~= content then return {'MISMATCH'} end
	return {'RELEASED'}
end
local w = waiter(id)
if w and w.content ~= content then
	if now < lapses(w) then return {'MISMATCH'} end
	leave(w)
end

lapsed(product)
if budget == 0 then return {'AGAIN'} end
lost(product)
w = waiter(id)
if w and ARGV[16] == '' then
	leave(w)
	w = nil
end

h = {id = id, product = product, mode = ARGV[7], content = content, client = ARGV[9], station = ARGV[10],
	licenses = tonumber(ARGV[11]), borrowed = ARGV[12] == '1', lease = tonumber(ARGV[14]),
	tags = {}, caps = {}, holds = {}}
if ARGV[15] ~= '' then
	local limits = cjson.decode(ARGV[15])
	h.tags, h.caps, h.holds = limits.tags, limits.caps, limits.holds
end
if takes(h) then h.own = lingersFor(h) end
local below = w and w.member or rank(ARGV[16] == '' and 0 or tonumber(ARGV[16])) .. ':'
local no = decide(h, quantity, below)
if not no then
	if h.own then
		h.seat = h.own.seat
	else
		h.seat = lowest(product)
		if not h.seat then return {'AGAIN'} end
	end
	if w then leave(w) end
	if h.own then unlinger(h.own) end
	h.n = seatOf(product, h.seat) + 1
	begin(h)
	return granted(h)
end

local function answer(word)
	return {word, text(balance(product, 'all')), text(no[2]), text(call('ZCARD', queueKey(product))),
		text(math.max((earliest(product) or now) - now, 0))}
end
if no[1] == 'FULL' and ARGV[16] ~= '' and h.licenses <= quantity and (not w or now < w.since + w.till)
	and (w or call('ZCARD', queueKey(product)) < mostWaiting) then
	w = w or {id = id, product = product, content = content, mode = h.mode, station = h.station, client = h.client,
		licenses = h.licenses, priority = tonumber(ARGV[16]), since = now, till = tonumber(ARGV[17]),
		place = tonumber(ARGV[18]), member = member(id, tonumber(ARGV[16]))}
	w.tags, w.caps, w.holds = h.tags, h.caps, h.holds
	keep(w)
	local queued = answer('QUEUED')
	queued[6] = text(call('ZRANK', queueKey(product), w.member) + 1)
	return queued
end
if w then leave(w) end
local reasons = {FULL = 'NO_FREE_SEAT', BUSY = 'STATION_BUSY', LIMIT = 'LIMIT_REACHED'}
local rule = ''
if no[1] == 'LIMIT' then rule = no[2] elseif no[1] == 'FULL' then rule = no[3] end
event('DENIED', h, reasons[no[1]], nil, rule)
if no[1] ~= 'FULL' then return no end
return answer('FULL')
