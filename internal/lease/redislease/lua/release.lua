local h = find()
if h then finish(h, 'RELEASED') end
return {'OK'}
