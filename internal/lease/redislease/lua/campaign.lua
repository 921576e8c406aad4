-- KEYS[1]: leader. ARGV: owner, time to live (ms).
local leader = redis.call('GET', KEYS[1])
if leader and leader ~= ARGV[1] then return leader end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]
