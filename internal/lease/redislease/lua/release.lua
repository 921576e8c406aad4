-- ARGV[14]: linger time (µs).
local h, time = find(), tonumber(ARGV[14])
if h then
	finish(h, 'RELEASED')
	if time > 0 and h.seat > 0 then linger(h, time) end
end
return {'OK'}
