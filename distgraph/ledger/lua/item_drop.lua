-- Delete items of one namespace of a store; or forget those whose time was over and which the server has deleted.
--
-- KEYS  spaces ZSET   items ZSET   then per item: item HASH
-- ARGV  1 'all' or 'gone' (only what is not there any more)   2 namespace   then per item its key
-- -> {'ok'}
local spaces, items = KEYS[1], KEYS[2]
redis.call('ZCARD', spaces)
redis.call('ZCARD', items)
for key = 3, #KEYS do redis.call('HEXISTS', KEYS[key], 'v') end
for key = 3, #KEYS do
  if ARGV[1] == 'all' then redis.call('UNLINK', KEYS[key]) end
  if redis.call('EXISTS', KEYS[key]) == 0 then redis.call('ZREM', items, ARGV[key]) end
end
if redis.call('ZCARD', items) == 0 then redis.call('ZREM', spaces, ARGV[2]) end
return {'ok'}
