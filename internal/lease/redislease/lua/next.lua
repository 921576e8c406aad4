-- Until the first lease or linger of any product runs out; it may be too early
-- where earliest is.
while true do
	local first = call('ZRANGE', SOON, 0, 0, 'WITHSCORES')
	if #first == 0 then return {'OK'} end
	local p, bound = first[1], tonumber(first[2])
	local at = bound
	if moves > 0 then at = earliest(p) end
	if at == bound then return {'OK', text(math.max(at - now, 0))} end
	if at then call('ZADD', SOON, text(at), p) else call('ZREM', SOON, p) end
	moves = moves - 1
end
