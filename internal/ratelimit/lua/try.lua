-- Counts a failed try, or tells how long to wait. KEYS: the tries.
-- ARGV: a shift of the clock, how many are free, the first pause and the longest.
-- All in microseconds.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2] + ARGV[1]
local free, first, most = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local known = redis.call('HMGET', KEYS[1], 'failed', 'last')
local failed, last = tonumber(known[1] or 0), tonumber(known[2] or 0)
if now >= last + 10 * most then failed, last = 0, 0 end
if failed >= free then
  local pause = math.min(first * 2 ^ math.min(failed - free, 20), most)
  local wait = math.min(last + pause - now, pause)
  if wait > 0 then return wait end
end
redis.call('HSET', KEYS[1], 'failed', failed + 1, 'last', string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil(most / 100))
return 0
