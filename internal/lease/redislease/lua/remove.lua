-- ARGV from 6 on: id, by.
local id = ARGV[6]
local h = load(id)
if not h or h.product ~= product then
	local l = lingering(id)
	if l and l.product == product then
		local still = over(id) > now
		unlinger(l)
		if still then return {'OK'} end
		return {'RELEASED'}
	end
	local e = ended(id)
	if e and e.kind == 'REMOVED' and e.product == product then return {'OK'} end
	return {'RELEASED'}
end
if due(id) <= now then
	finish(h, 'EXPIRED')
	return {'RELEASED'}
end
finish(h, 'REMOVED', ARGV[7])
return {'OK'}
