-- ARGV[18]: linger time (µs).
local h = find()
if h then finish(h, 'RELEASED', nil, tonumber(ARGV[18])) end
return {'OK'}
