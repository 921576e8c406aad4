-- ARGV from 6 on: id, by, least age (µs).
local id = ARGV[6]
local h = load(id)
if not h or h.product ~= product then
	local l = lingering(id)
	if l and l.product == product then
		local still = overOf(l, overScore(l)) > now
		unlinger(l)
		if still then return {'OK'} end
		return {'RELEASED'}
	end
	local e = ended(id)
	if e and e.kind == 'REMOVED' and e.product == product then return {'OK'} end
	return {'RELEASED'}
end
if dueOf(h) <= now then
	finish(h, 'EXPIRED')
	return {'RELEASED'}
end
if h.borrowed then return {'BORROWED'} end
if now - h.first < tonumber(ARGV[8]) then return {'YOUNG', text(now - h.first)} end
finish(h, 'REMOVED', ARGV[7])
return {'OK'}
