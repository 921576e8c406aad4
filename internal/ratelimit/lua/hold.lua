-- Takes a slot, or keeps one. KEYS: the slots, by when they end.
-- ARGV: a shift of the clock, the slot's name, its time, and how many there are;
-- 0 keeps a slot that is held, whatever others hold by now. In microseconds.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2] + ARGV[1]
local most = tonumber(ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
if most > 0 and redis.call('ZCARD', KEYS[1]) >= most then return 0 end
redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[3]), ARGV[2])
redis.call('PEXPIRE', KEYS[1], math.ceil(ARGV[3] / 1000))
return 1
