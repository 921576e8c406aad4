-- ARGV from 6 on: id, then the notice's id, text and by.
local h = load(ARGV[6])
if not h or h.product ~= product or dueOf(h) <= now then return {'RELEASED'} end
if h.borrowed then return {'BORROWED'} end
h.notice = {ARGV[7], ARGV[8], ARGV[9]}
save(h)
return {'OK'}
