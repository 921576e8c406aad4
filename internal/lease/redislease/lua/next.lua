-- Until the first lease or linger of any product runs out; it may be too early
-- where earliest is.
for _ = 1, 50 do
	local first = call('ZRANGE', SOON, 0, 0, 'WITHSCORES')
	if #first == 0 then return {'OK'} end
	local p, bound = first[1], tonumber(first[2])
	local at = earliest(p)
	if at == bound then break end
	if at then call('ZADD', SOON, text(at), p) else call('ZREM', SOON, p) end
end
local first = call('ZRANGE', SOON, 0, 0, 'WITHSCORES')
if #first == 0 then return {'OK'} end
return {'OK', text(math.max(tonumber(first[2]) - now, 0))}
