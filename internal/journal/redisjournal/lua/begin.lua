-- KEYS as write.lua. ARGV[1]: the state of a new journal, which begins where there
-- is none; what is there of an older one without its state is worth nothing.
local has = redis.call('GET', KEYS[1])
if has then return {'OK', has} end
redis.call('DEL', KEYS[2], KEYS[3], KEYS[4], KEYS[5])
redis.call('SET', KEYS[1], ARGV[1])
return {'OK', ARGV[1]}
