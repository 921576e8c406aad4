while budget > 0 do
	local first = call('ZRANGE', SOON, 0, 0, 'WITHSCORES')
	if #first == 0 then return {'OK'} end
	local p, bound = first[1], tonumber(first[2])
	local at = earliest(p)
	if at == bound then return {'OK', text(math.max(at - now, 0))} end
	if at then call('ZADD', SOON, text(at), p) else call('ZREM', SOON, p) end
	budget = budget - 1
end
return {'AGAIN'}
