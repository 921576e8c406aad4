-- ARGV[14]: "1" to renew, else only to check.
local h, why = find()
if not h then return {why} end
if ARGV[14] == '1' then renew(h) end
return granted(h)
