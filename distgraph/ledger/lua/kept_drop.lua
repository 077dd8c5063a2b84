-- Forget cached results of one namespace.
--
-- KEYS  index ZSET   then per result: entry STRING
-- ARGV  1 #results   then per result its key
-- -> {'ok'}
redis.call('ZCARD', KEYS[1])
for key = 2, ARGV[1] + 1 do
  redis.call('UNLINK', KEYS[key])
  redis.call('ZREM', KEYS[1], ARGV[key])
end
return {'ok'}
