-- ARGV from 6 on: the modes.
while expire(product, 1000) > 0 do end
local answer = {'OK', text(counted(product, 'taken')), text(counted(product, 'lingering'))}
for i = 6, #ARGV do answer[#answer + 1] = text(counted(product, 'mode:' .. ARGV[i])) end
return answer
