-- KEYS: state, records, seats, events, positions. ARGV: the state that the caller
-- knows, the new one ("" leaves it), "1" to empty the journal first, how many
-- records, drops and events there are, and up to where events are trimmed ("" for
-- not at all); then seat and record, position, position and event. Epochs and
-- numbers have 19 digits each, so texts compare as numbers do.
local call = redis.call
local has = call('GET', KEYS[1])
if has ~= ARGV[1] then return {'CHANGED', has or ''} end
local records, drops, events, at = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), 7
for i = 1, records do
	local seat, new = ARGV[at + 2 * i - 1], ARGV[at + 2 * i]
	local old = call('HGET', KEYS[2], seat)
	if old and old ~= new and string.sub(new, 1, 38) <= string.sub(old, 1, 38) then return {'LOWER'} end
end
if ARGV[3] == '1' then call('DEL', KEYS[2], KEYS[3], KEYS[4], KEYS[5]) end
for i = 1, records do
	local seat, new = ARGV[at + 2 * i - 1], ARGV[at + 2 * i]
	call('HSET', KEYS[2], seat, new)
	call('ZADD', KEYS[3], 0, seat)
end
at = at + 2 * records
for i = 1, drops do
	call('HDEL', KEYS[4], ARGV[at + i])
	call('ZREM', KEYS[5], ARGV[at + i])
end
at = at + drops
while ARGV[7] ~= '' do
	local old = call('ZRANGEBYLEX', KEYS[5], '-', '[' .. ARGV[7], 'LIMIT', 0, 1000)
	if #old == 0 then break end
	call('HDEL', KEYS[4], unpack(old))
	call('ZREM', KEYS[5], unpack(old))
end
for i = 1, events do
	call('HSET', KEYS[4], ARGV[at + 2 * i - 1], ARGV[at + 2 * i])
	call('ZADD', KEYS[5], 0, ARGV[at + 2 * i - 1])
end
if ARGV[2] ~= '' then call('SET', KEYS[1], ARGV[2]) end
return {'OK'}
