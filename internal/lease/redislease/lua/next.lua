local first = call('ZRANGE', DUE, 0, 0, 'WITHSCORES')
if #first == 0 then return {'OK'} end
return {'OK', text(math.max(tonumber(first[2]) - now, 0))}
