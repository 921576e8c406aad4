-- ARGV from 6 on: id, by.
local id = ARGV[6]
local h = load(id)
if not h or h.product ~= product then
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
