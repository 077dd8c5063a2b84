-- Store one item of a store, or replace it; its first putting stands.
--
-- KEYS  spaces ZSET   items ZSET   item HASH
-- ARGV  1 namespace   2 key   3 value   4 vectors ('' none)   5 ms to live after an access ('' = for ever)
-- -> {'ok'}
local spaces, items, item = KEYS[1], KEYS[2], KEYS[3]
redis.call('ZCARD', spaces)
redis.call('ZCARD', items)
local born = redis.call('HGET', item, 'c')
local clock = redis.call('TIME')
local now = string.format('%.0f', clock[1] * 1000000 + clock[2])
redis.call('HSET', item, 'v', ARGV[3], 'x', ARGV[4], 'c', born or now, 'u', now, 't', ARGV[5])
if ARGV[5] == '' then redis.call('PERSIST', item) else redis.call('PEXPIRE', item, ARGV[5]) end
if not born then redis.call('ZADD', items, now, ARGV[2]) end
redis.call('ZADD', spaces, 0, ARGV[1])
return {'ok'}
