-- Hand a run back between two supersteps: end of the quantum, drain, or a wait. Counts no crash.
--
-- KEYS  run HASH   due ZSET
-- ARGV  run id, slot, ms until it is due
-- -> {'ok', hinted}   a repeat too, while nobody has taken the run
--  | {'stale'}        the lease is not that slot's
local run, due = KEYS[1], KEYS[2]
local slot = ARGV[2]
local got = redis.call('HMGET', run, 'lease', 'left', 'hinted')
if got[1] == '' and got[2] == slot then return {'ok', got[3]} end
if got[1] ~= slot then return {'stale'} end
redis.call('ZCARD', due)
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
-- what it waits for its next driver is no time of its superstep; and what begins with a delete goes on where a server is full
redis.call('HDEL', run, 'step_ends')
redis.call('HSET', run, 'lease', '', 'left', slot, 'hinted', now)
redis.call('ZADD', due, now + ARGV[3], 'r:' .. ARGV[1])
return {'ok', tostring(now)}
