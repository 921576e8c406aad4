-- Takes from all buckets or from none. KEYS: the moments at which they are full.
-- ARGV: a shift of the clock, then of each bucket its price and its period.
-- All in microseconds. Answers whether, then how far ahead each moment is.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2] + ARGV[1]
local ok, ahead = 1, {}
for i = 1, #KEYS do
  local price, per = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  ahead[i] = math.min(math.max(tonumber(redis.call('GET', KEYS[i]) or 0) - now, 0), per)
  if ahead[i] + price > per then ok = 0 end
end
if ok == 1 then
  for i = 1, #KEYS do
    ahead[i] = ahead[i] + tonumber(ARGV[2 * i])
    if ahead[i] > 0 then
      redis.call('SET', KEYS[i], string.format('%.0f', now + ahead[i]), 'PX', math.ceil(ahead[i] / 1000))
    end
  end
end
return { ok, unpack(ahead) }
