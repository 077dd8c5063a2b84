-- Store a checkpoint from outside a run (a saver, update_state): it becomes the head of its line if it is above it.
--
-- KEYS  line HASH   hist ZSET
-- ARGV  checkpoint id, #sets, field, value, ..., then fields to delete
-- -> {'ok'} | {'busy', run id}
local line, hist = KEYS[1], KEYS[2]
local new = ARGV[1]
local got = redis.call('HMGET', line, 'head', 'run')
if got[2] then return {'busy', got[2]} end
local stop = 2 + 2 * ARGV[2]
for first = 3, stop, 500 do redis.call('HSET', line, unpack(ARGV, first, math.min(first + 499, stop))) end
for first = stop + 1, #ARGV, 500 do redis.call('HDEL', line, unpack(ARGV, first, math.min(first + 499, #ARGV))) end
redis.call('ZADD', hist, 0, new)
if not got[1] or new > got[1] then
  redis.call('HSET', line, 'head', new)
  redis.call('HINCRBY', line, 'e', 1)
end
return {'ok'}
