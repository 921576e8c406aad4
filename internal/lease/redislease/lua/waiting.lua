lost(product)
local all = {'OK'}
for _, m in ipairs(call('ZRANGE', queueKey(product), 0, -1)) do
	local w = waiter(string.sub(m, 28))
	all[#all + 1] = {w.id, w.mode, w.station, w.client, text(w.licenses), text(w.priority), text(w.since)}
end
return all
