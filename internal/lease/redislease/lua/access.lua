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
h = {id = id, product = product, mode = ARGV[7], seat = 0, n = 0,
	content = content, client = ARGV[9], lease = tonumber(ARGV[11])}
if h.mode == 'USER_LIMIT' then
	local quantity = tonumber(ARGV[10])
	while counted(product, 'taken') >= quantity and expire(product, 1) > 0 do end
	local taken = counted(product, 'taken')
	if taken >= quantity then
		event('DENIED', h, 'NO_FREE_SEAT')
		local first = call('ZRANGE', DUE .. ':' .. product, 0, 0, 'WITHSCORES')
		local wait = 0
		if #first > 0 then wait = tonumber(first[2]) - now end
		return {'FULL', text(taken), text(wait)}
	end
	h.seat = lowest(product)
end
h.n = seatOf(product, h.seat) + 1
begin(h)
return granted(h)
