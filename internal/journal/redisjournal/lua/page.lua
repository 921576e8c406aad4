-- KEYS: state, a hash, a sorted set of its fields. ARGV: the state that the caller
-- knows, the field to go on after ("" from the first), how many at most, how many
-- bytes at most, and how many of each value's don't count.
local call = redis.call
local has = call('GET', KEYS[1])
if has ~= ARGV[1] then return {'CHANGED', has or ''} end
local from = '-'
if ARGV[2] ~= '' then from = '(' .. ARGV[2] end
local most, size, answer = tonumber(ARGV[4]), 0, {'OK'}
for _, field in ipairs(call('ZRANGEBYLEX', KEYS[3], from, '+', 'LIMIT', 0, ARGV[3])) do
	local value = call('HGET', KEYS[2], field)
	size = size + #value - ARGV[5]
	if size > most and #answer > 1 then break end
	answer[#answer + 1] = field
	answer[#answer + 1] = value
end
return answer
