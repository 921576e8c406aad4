-- The renewal of a handle that is known and alive, or a check of it. ARGV from 3
-- on: id, seat, n, idle time ("" only checks).
local h = load(ARGV[3])
if not h or h.product ~= product or h.seat ~= tonumber(ARGV[4]) or h.n ~= tonumber(ARGV[5]) then return {'LOOK'} end
if dueOf(h) <= now then return {'LOOK'} end
if ARGV[6] ~= '' then renew(h, tonumber(ARGV[6])) end
return granted(h)
