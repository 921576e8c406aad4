-- ARGV[18]: idle time ("" only checks).
local h, s = find()
if not h then return {s} end
if ARGV[18] ~= '' then renew(h, s, tonumber(ARGV[18])) end
return granted(h)
