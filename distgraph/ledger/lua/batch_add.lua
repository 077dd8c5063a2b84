-- Add one packed chunk of items to its partition of a batch. The chunk's number and digest make it idempotent.
--
-- KEYS  batch HASH   input LIST   ready LIST   due ZSET
-- ARGV  batch id, chunk, digest of the items, ms until due, item, ...
-- -> {'new'}   a repeat is answered 'same'
--  | {'same'} | {'conflict'} | {'cancelled'}
local batch, input, ready, due = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local chunk = ARGV[2]
local got = redis.call('HMGET', batch, 'c:' .. chunk, 'state')
if got[1] then
  if got[1] == ARGV[3] then return {'same'} end
  return {'conflict'}
end
if got[2] == 'cancelled' then return {'cancelled'} end
redis.call('LLEN', input)
redis.call('LLEN', ready)
redis.call('ZCARD', due)
local count = #ARGV - 4
redis.call('HSET', batch, 'c:' .. chunk, ARGV[3])
redis.call('HSETNX', batch, 'e', '0')
redis.call('HINCRBY', batch, 'total', count)
for first = 5, #ARGV, 500 do redis.call('RPUSH', input, unpack(ARGV, first, math.min(first + 499, #ARGV))) end
redis.call('RPUSH', ready, chunk .. ':0:' .. count .. ':n')
local clock = redis.call('TIME')
redis.call('ZADD', due, clock[1] * 1000 + math.floor(clock[2] / 1000) + ARGV[4], 'b:' .. ARGV[1])
return {'new'}
