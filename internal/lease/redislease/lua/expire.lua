-- Ends what has run out of any product. The third word says that there may be
-- more.
local total = 0
while budget > 0 do
	local first = call('ZRANGE', SOON, 0, 0, 'WITHSCORES')
	if #first == 0 or tonumber(first[2]) > now then return {'OK', text(total)} end
	local p = first[1]
	total = total + lapsed(p)
	if budget > 0 then
		local at = earliest(p)
		if at then call('ZADD', SOON, text(at), p) else call('ZREM', SOON, p) end
		budget = budget - 1
	end
end
return {'OK', text(total), '1'}
