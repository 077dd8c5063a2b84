-- Store a checkpoint from outside a run (a saver, update_state): it becomes the head of its line if it is above it.
--
-- KEYS  line HASH   hist ZSET   open HASH
-- ARGV  id, parent, #sets, field, value, ..., then fields to delete
-- -> {'ok'} | {'busy', run id}
local line, hist, open = KEYS[1], KEYS[2], KEYS[3]
local got = redis.call('HMGET', line, 'head', 'run')
if got[2] then return {'busy', got[2]} end
local stop = 3 + 2 * tonumber(ARGV[3])
for first = 4, stop, 200 do redis.call('HSET', line, unpack(ARGV, first, math.min(first + 199, stop))) end
if stop < #ARGV then redis.call('HDEL', line, unpack(ARGV, stop + 1)) end
redis.call('ZADD', hist, 0, ARGV[1])
if not got[1] or ARGV[1] > got[1] then
  redis.call('HSET', line, 'head', ARGV[1])
  redis.call('HINCRBY', line, 'e', 1)
  redis.call('DEL', open)
end
return {'ok'}
