-- ARGV[6]: owner, ARGV[7]: margin (µs), ARGV[8]: "1" to claim, else to join.
if not converted() then return {'AGAIN'} end
local current = call('HGET', GROUP, 'epoch')
if ARGV[8] ~= '1' and current then return {'OK', current} end
local mine = text(math.max(tonumber(current or '0') + 1, now))
-- Nobody knows when a lease was last renewed: what began before now gets its full
-- time and the margin, whenever it is looked at.
call('DEL', DENIALS)
call('HSET', GROUP, 'epoch', mine, 'owner', ARGV[6], 'claimed', text(now), 'margin', ARGV[7])
return {'OK', mine}
