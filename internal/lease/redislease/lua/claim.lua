-- ARGV[6]: owner, ARGV[7]: margin (µs), ARGV[8]: "1" to claim, else to join.
local current = call('HGET', META, 'epoch')
if ARGV[8] ~= '1' and current then return {'OK', current} end
local mine = text(math.max(tonumber(current or '0') + 1, now))
call('HSET', META, 'epoch', mine, 'owner', ARGV[6])
local margin = tonumber(ARGV[7])
for _, id in ipairs(call('ZRANGE', DUE, 0, -1)) do
	local h = load(id)
	local deadline = text(now + h.lease + margin)
	call('ZADD', DUE, 'GT', deadline, id)
	call('ZADD', DUE .. ':' .. h.product, 'GT', deadline, id)
end
for _, id in ipairs(call('ZRANGE', OVER, 0, -1)) do
	local l = lingering(id)
	local deadline = text(now + l.linger + margin)
	call('ZADD', OVER, 'GT', deadline, id)
	call('ZADD', OVER .. ':' .. l.product, 'GT', deadline, id)
end
return {'OK', mine}
