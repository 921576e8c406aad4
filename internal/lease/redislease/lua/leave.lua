-- ARGV[6]: id.
local w = waiter(ARGV[6])
if w and w.product == product then leave(w) end
return {'OK'}
