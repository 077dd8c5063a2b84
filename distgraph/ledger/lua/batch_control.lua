-- Change a partition of a batch as a whole.
--
-- KEYS  batch HASH   ready LIST   due ZSET
-- ARGV  batch id, 'cancel' | 'pause' | 'continue'
-- -> {'ok', state}
local batch, ready, due = KEYS[1], KEYS[2], KEYS[3]
if redis.call('EXISTS', batch) == 0 then return {'ok', ''} end
local state = redis.call('HGET', batch, 'state') or ''
if state == 'cancelled' then return {'ok', state} end
if ARGV[2] == 'cancel' then
  redis.call('HSET', batch, 'state', 'cancelled')
  redis.call('HINCRBY', batch, 'e', 1)
  redis.call('DEL', ready)
  redis.call('ZREM', due, 'b:' .. ARGV[1])
  return {'ok', 'cancelled'}
end
redis.call('HSET', batch, 'state', ARGV[2] == 'pause' and 'paused' or '')
if ARGV[2] == 'continue' then redis.call('ZADD', due, 0, 'b:' .. ARGV[1]) end
return {'ok', ARGV[2]}
