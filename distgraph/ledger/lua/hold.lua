-- Give a nested graph's line to one attempt of the task that runs the graph: from now on what any other attempt stores
-- there is refused. Of two attempts that run at once the one that comes last has it; the other stops, and forks nothing.
-- Refused to an attempt that came too late itself.
--
-- KEYS  line HASH   nested SET   line HASH of the thread   run HASH
-- ARGV  namespace, attempt, head of the thread that the task was planned from, epoch of the run ('' = a batch item in a
--       slice, which has no record)
-- -> {'ok'} (a repeat too) | {'stale', why}
local line, nested, outer, run = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
if (redis.call('HGET', outer, 'head') or '') ~= ARGV[3] then return {'stale', 'head'} end
local got = redis.call('HMGET', run, 'epoch', 'status')
if (got[1] or '') ~= ARGV[4] then return {'stale', 'epoch'} end
if got[1] and got[2] ~= 'running' then return {'stale', got[2]} end
redis.call('HLEN', line)
redis.call('SADD', nested, ARGV[1])
redis.call('HSET', line, 'holder', ARGV[2])
return {'ok'}
