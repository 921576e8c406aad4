local first = earliest('')
if not first then return {'OK'} end
return {'OK', text(math.max(first - now, 0))}
