-- ARGV from 6 on: id, mode, client, station, licenses, "1" if borrowed, reason, rule.
local w = waiter(ARGV[6])
if w and w.product == product then leave(w) end
event('DENIED', {id = ARGV[6], product = product, mode = ARGV[7], client = ARGV[8], station = ARGV[9],
	licenses = tonumber(ARGV[10]), borrowed = ARGV[11] == '1'}, ARGV[12], nil, ARGV[13])
return {'OK'}
