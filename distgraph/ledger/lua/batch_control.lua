-- Change a partition of a batch as a whole, also one that has no items yet: a submitter may still be adding some.
--
-- KEYS  batch HASH   ready LIST   due ZSET
-- ARGV  batch id, 'cancel' | 'pause' | 'continue', the name of the pause: who saw its end knows it again where a server
--       that was rolled back has forgotten that
-- -> {'ok', state}: 'cancelled' (which is final), 'paused' or ''
local batch, ready, due = KEYS[1], KEYS[2], KEYS[3]
local what = ARGV[2]
if redis.call('HGET', batch, 'state') == 'cancelled' then return {'ok', 'cancelled'} end
redis.call('ZCARD', due)
redis.call('LLEN', ready)
if what == 'cancel' then
  -- deletes first: a full server lets a script go on that has begun with one, and this is to get room again
  redis.call('DEL', ready)
  redis.call('ZREM', due, 'b:' .. ARGV[1])
  redis.call('HSET', batch, 'state', 'cancelled')
  redis.call('HINCRBY', batch, 'e', 1)
  return {'ok', 'cancelled'}
end
local state = what == 'pause' and 'paused' or ''
redis.call('HSET', batch, 'state', state, 'pause', what == 'pause' and ARGV[3] or '')
if what == 'continue' and redis.call('EXISTS', ready) == 1 then redis.call('ZADD', due, 0, 'b:' .. ARGV[1]) end
return {'ok', state}
