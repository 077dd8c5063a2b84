-- A task failed and may be tried again later: give it back with one attempt counted, due after the delay.
--
-- KEYS  run HASH   line HASH   due ZSET   open HASH   claims HASH   tries HASH
-- ARGV  run id, slot, epoch, head, task id, ms to wait, attempts made so far, path of the task
-- -> {'ok'}   to a repeat that comes when later attempts were made, too: it changes nothing
--  | {'done'} settled by another attempt   | {'held', slot}   | {'stale', why}
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
local waits, made = redis.call('ZSCORE', due, entry), redis.call('HGET', tries, 'a:' .. task)
if waits and made == ARGV[7] and not holder then return {'ok'} end -- a repeat: it waits already, and its time stands
-- a worker whose reply was lost asks again, when others have tried on: the count of attempts does not go back
if made and tonumber(made) > tonumber(ARGV[7]) then return {'ok'} end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
-- an attempt that does not count is none of the run's budget either
if (made or '0') ~= ARGV[7] then redis.call('HINCRBY', run, 'retries', 1) end
redis.call('HSET', tries, 'a:' .. task, ARGV[7])
redis.call('HSET', run, 'p:' .. task, ARGV[8])
redis.call('HDEL', claims, task)
redis.call('ZADD', due, now + ARGV[6], entry)
return {'ok'}
