-- ARGV from 6 on: the modes.
lapsed(product)
if budget == 0 then return {'AGAIN'} end
lost(product)
local f = figures(product)
local answer = {'OK', text(f.all), text(f.living), text(f.borrowed), text(call('ZCARD', queueKey(product)))}
for i = 6, #ARGV do
	answer[#answer + 1] = text(f[ARGV[i]])
	answer[#answer + 1] = text(f['living:' .. ARGV[i]] or 0)
end
for _, v in ipairs(call('HGETALL', tagsKey(product))) do answer[#answer + 1] = v end
return answer
