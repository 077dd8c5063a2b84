-- Open a superstep to all workers: from now on each of its tasks settles on its own, and the last one's worker drives.
--
-- KEYS  run HASH   line HASH   due ZSET   open HASH
-- ARGV  run id, slot, epoch, head, number of tasks planned, ms until a sweep looks, then task id, outcome, ...
-- -> {'ok', hinted} | {'closed', hinted} (all are settled: the caller drives) | {'stale', why}
local run, line, due, open = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local got = redis.call('HMGET', run, 'epoch', 'plan', 'lease')
if got[1] ~= ARGV[3] then return {'stale', 'epoch'} end
if (redis.call('HGET', line, 'head') or '') ~= ARGV[4] then return {'stale', 'head'} end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('HSET', run, 'plan', ARGV[5], 'hinted', now)
for at = 7, #ARGV, 2 do redis.call('HSETNX', open, ARGV[at], ARGV[at + 1]) end
redis.call('ZADD', due, now + ARGV[6], 'r:' .. ARGV[1])
if redis.call('HLEN', open) >= tonumber(ARGV[5]) then
  redis.call('HSET', run, 'lease', ARGV[2])
  return {'closed', tostring(now)}
end
redis.call('HSET', run, 'lease', '')
return {'ok', tostring(now)}
