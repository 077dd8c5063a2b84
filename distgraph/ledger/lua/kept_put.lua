-- Keep one cached result; what has expired leaves the index.
--
-- KEYS  index ZSET   entry STRING
-- ARGV  1 key   2 value   3 ms to live ('' = for ever)
-- -> {'ok'}
local index, entry = KEYS[1], KEYS[2]
redis.call('ZCARD', index)
redis.call('STRLEN', entry)
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local over = 'inf'
if ARGV[3] == '' then
  redis.call('SET', entry, ARGV[2])
else
  redis.call('SET', entry, ARGV[2], 'PX', ARGV[3])
  over = string.format('%.0f', now + ARGV[3])
end
redis.call('ZADD', index, over, ARGV[1])
redis.call('ZREMRANGEBYSCORE', index, '-inf', string.format('(%.0f', now))
-- the index goes with the last of its entries
local last = redis.call('ZRANGE', index, -1, -1, 'WITHSCORES')[2]
if last == 'inf' then redis.call('PERSIST', index) else redis.call('PEXPIRE', index, tonumber(last) - now) end
return {'ok'}
