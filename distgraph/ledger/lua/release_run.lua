-- Hand a run back: end of the quantum, drain, or a wait. Counts no crash.
--
-- KEYS  run HASH   due ZSET
-- ARGV  run id, slot, ms until it is due
-- -> {'ok', hinted} | {'stale'}
local run = KEYS[1]
if redis.call('HGET', run, 'lease') ~= ARGV[2] then return {'stale'} end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('HSET', run, 'lease', '', 'hinted', now)
redis.call('ZADD', KEYS[2], now + ARGV[3], 'r:' .. ARGV[1])
return {'ok', tostring(now)}
