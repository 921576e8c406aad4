-- ARGV[6], ARGV[7]: how many to pass over, and how many to give at most, in the
-- order of their ids.
local answer = {'OK'}
local ids = call('ZRANGEBYSCORE', DUE .. ':' .. product, '(' .. text(now), '+inf')
table.sort(ids)
local skip, most = tonumber(ARGV[6]), tonumber(ARGV[7])
for i = skip + 1, math.min(skip + most, #ids) do
	local h = load(ids[i])
	answer[#answer + 1] = {h.id, h.mode, text(h.seat), text(h.n), text(h.lease), text(h.first), text(h.last),
		text(h.accesses), h.client, text(due(h.id) - now)}
end
return answer
