-- A task failed and may be tried again later: give it back with one attempt counted, due after the delay.
--
-- KEYS  run HASH   line HASH   due ZSET   claims HASH
-- ARGV  run id, slot, epoch, head, task id, ms to wait, attempts made so far, path of the task
-- -> {'ok'} | {'stale', why}
local run, line, due, claims = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local task = ARGV[5]
local got = redis.call('HMGET', run, 'epoch', 'status')
if got[1] ~= ARGV[3] then return {'stale', 'epoch'} end
if got[2] ~= 'running' then return {'stale', got[2]} end
if (redis.call('HGET', line, 'head') or '') ~= ARGV[4] then return {'stale', 'head'} end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('HSET', run, 'a:' .. task, ARGV[7], 'p:' .. task, ARGV[8])
if redis.call('HGET', claims, task) == ARGV[2] then redis.call('HDEL', claims, task) end
redis.call('ZADD', due, now + ARGV[6], 't:' .. ARGV[1] .. '\n' .. task)
return {'ok'}
