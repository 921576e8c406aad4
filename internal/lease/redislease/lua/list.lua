-- A page of a product's handles by first access, then id. ARGV[6], ARGV[7]: first
-- access and id of the one to go on after, or "". ARGV[8]: how many at most.
local key, from, most = orderKey(product), 0, tonumber(ARGV[8])
if ARGV[6] ~= '' then
	from = call('ZCOUNT', key, '-inf', '(' .. ARGV[6])
	for _, id in ipairs(call('ZRANGEBYSCORE', key, ARGV[6], ARGV[6], 'LIMIT', 0, budget)) do
		if id <= ARGV[7] then from = from + 1 end
	end
end
local found = call('ZRANGE', key, from, from + most - 1, 'WITHSCORES')
local answer = {'OK', '', ''}
if #found == 2 * most then answer[2], answer[3] = found[#found], found[#found - 1] end
for i = 1, #found, 2 do
	local h = load(found[i])
	local due = dueOf(h)
	if due > now then
		answer[#answer + 1] = {h.id, h.mode, text(h.seat), text(h.n), text(h.lease), text(h.first), text(h.last),
			text(h.accesses), h.client, text(due - now), h.station, text(h.licenses), text(h.idle),
			h.borrowed and '1' or '', #h.tags > 0 and cjson.encode(h.tags) or ''}
	end
end
return answer
