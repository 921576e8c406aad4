-- find gives the living handle of a reference, or nil and why not. A lost handle
-- is taken in again where its seat is free or lingers, and its n above every known.
-- ARGV from 6 on: id, seat, n, mode, lease, content, client, station, licenses,
-- tags (JSON), "1" if borrowed, "1" if it may be taken in.
local function find()
	local id, seat, n = ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])
	local h = load(id)
	if h then
		if h.product ~= product or h.n ~= n or h.seat ~= seat then return nil, 'RELEASED' end
		if dueOf(h) <= now then
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
	if n <= last or lingering(id) then return nil, 'RELEASED' end
	local l, other = has and lingering(has), has and load(has)
	if other and dueOf(other) > now then return nil, 'RELEASED' end
	if ARGV[17] ~= '1' then return nil, 'LOST' end
	if l then unlinger(l) elseif other then finish(other, 'EXPIRED') end
	local w = waiter(id)
	if w then leave(w) end
	h = {id = id, product = product, mode = ARGV[9], seat = seat, n = n, lease = tonumber(ARGV[10]),
		content = ARGV[11], client = ARGV[12], station = ARGV[13], licenses = tonumber(ARGV[14]),
		tags = cjson.decode(ARGV[15]), borrowed = ARGV[16] == '1'}
	begin(h)
	return h
end
