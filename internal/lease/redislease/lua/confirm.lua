-- ARGV[18]: idle time ("" only checks).
local h, why = find()
if not h then return {why} end
if ARGV[18] ~= '' then renew(h, tonumber(ARGV[18])) end
return granted(h)
