-- A task failed and may be tried again later: give it back with one attempt counted, due after the delay. Who was cut off
-- may say so when it has failed again elsewhere: attempts never become fewer.
--
-- KEYS  run HASH   line HASH   due ZSET   open HASH   claims HASH   tries HASH
-- ARGV  run id, slot, epoch, head, task id, ms to wait, attempts made so far, path of the task
-- -> {'ok'} | {'done'} settled by another attempt | {'held', slot} | {'stale', why}
local run, line, due, open, claims, tries = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local slot, task = ARGV[2], ARGV[5]
local got = redis.call('HMGET', run, 'epoch', 'plan', 'status')
if got[1] ~= ARGV[3] then return {'stale', 'epoch'} end
if got[3] ~= 'running' then return {'stale', got[3]} end
if (redis.call('HGET', line, 'head') or '') ~= ARGV[4] or got[2] == '0' then return {'stale', 'head'} end
-- an attempt that was given up for dead must not wait for a task that another one settled or has in hand
if redis.call('HEXISTS', open, task) == 1 then return {'done'} end
local holder = redis.call('HGET', claims, task)
if holder and holder ~= slot then return {'held', holder} end
local entry = 't:' .. ARGV[1] .. '\n' .. task
local waits, made = redis.call('ZSCORE', due, entry), tonumber(redis.call('HGET', tries, 'a:' .. task) or 0)
local attempts = tonumber(ARGV[7])
-- a repeat, or one that comes late: the task waits already, after this attempt or a later one, and its time stands
if waits and made >= attempts and not holder then return {'ok'} end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
-- an attempt that does not count is none of the run's budget either
if attempts > made then redis.call('HINCRBY', run, 'retries', 1) end
redis.call('HSET', tries, 'a:' .. task, string.format('%d', math.max(attempts, made)))
redis.call('HSET', run, 'p:' .. task, ARGV[8])
redis.call('HDEL', claims, task)
redis.call('ZADD', due, now + ARGV[6], entry)
return {'ok'}
