-- ARGV[6]: how many at most.
return {'OK', text(expire('', tonumber(ARGV[6])))}
