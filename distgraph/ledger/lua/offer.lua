-- Open a superstep to all workers: from now on each of its tasks settles on its own, and the last one's worker drives.
--
-- KEYS  run HASH   line HASH   due ZSET   open HASH   claims HASH
-- ARGV  run id, slot, epoch, head, number of tasks planned, ms until a sweep looks, #tasks that the slot goes on holding,
--       their ids, then task id, outcome, ...
-- -> {'ok', hinted} | {'closed', hinted} (all are settled: the caller drives on) | {'stale', why}
--    A superstep that is open already takes the outcomes it lacks, and gives no task to hold; a repeat finds nothing new.
local run, line, due, open, claims = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local id, slot, head = ARGV[1], ARGV[2], ARGV[4]
local got = redis.call('HMGET', run, 'epoch', 'status', 'plan', 'lease', 'at', 'hinted')
if got[1] ~= ARGV[3] then return {'stale', 'epoch'} end
if got[2] ~= 'running' then return {'stale', got[2]} end
if (redis.call('HGET', line, 'head') or '') ~= head then return {'stale', 'head'} end
redis.call('ZCARD', due)
redis.call('HLEN', open)
redis.call('HLEN', claims)
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local plan, lease, hinted = got[3], got[4], got[6]
local first = 8 + ARGV[7]
if plan == '0' then
  plan, hinted = ARGV[5], tostring(now)
  redis.call('HSET', run, 'plan', plan, 'at', head, 'hinted', hinted)
  redis.call('ZADD', due, now + ARGV[6], 'r:' .. id)
  -- outcomes left from another checkpoint (update_state moved the head of a resting run) would close this barrier early
  if got[5] ~= head then redis.call('DEL', open) end
  -- only now: whoever repeats this late may have put them off meanwhile
  for at = 8, first - 1 do redis.call('HSET', claims, ARGV[at], slot) end
end
for at = first, #ARGV, 2 do redis.call('HSETNX', open, ARGV[at], ARGV[at + 1]) end
if redis.call('HLEN', open) >= tonumber(plan) and (lease == '' or lease == slot) then
  redis.call('HSET', run, 'lease', slot)
  redis.call('ZADD', due, now + ARGV[6], 'r:' .. id)
  return {'closed', hinted}
end
if lease == slot then redis.call('HSET', run, 'lease', '') end
return {'ok', hinted}
