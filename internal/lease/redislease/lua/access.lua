-- ARGV from 6 on: id, mode, content, client, quantity, lease (µs).
local id, content = ARGV[6], ARGV[8]
local h = load(id)
if h then
	if h.content ~= content then return {'MISMATCH'} end
	if due(id) <= now then
		finish(h, 'EXPIRED')
		return {'EXPIRED'}
	end
	renew(h)
	local answer = granted(h)
	answer[5] = '1'
	return answer
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
h = {id = id, product = product, mode = ARGV[7], seat = 0, n = 0,
	content = content, client = ARGV[9], lease = tonumber(ARGV[11])}
if h.mode == 'USER_LIMIT' then
	local quantity = tonumber(ARGV[10])
	local own = lingersFor(h)
	local function full()
		local taken = counted(product, 'taken')
		if own then taken = taken - counted(product, 'lingering') end
		return taken >= quantity
	end
	while full() and expire(product, 1) > 0 do end
	if full() then
		event('DENIED', h, 'NO_FREE_SEAT')
		return {'FULL', text(counted(product, 'taken')), text((earliest(product) or now) - now)}
	end
	if own then
		unlinger(own)
		h.seat = own.seat
	else
		h.seat = lowest(product)
	end
end
h.n = seatOf(product, h.seat) + 1
begin(h)
return granted(h)
