-- Record a task's outcome: the first valid one wins. Whoever closes the barrier drives on, with the same reply.
-- The barrier is the set of settled task ids against the number planned: a repeat cannot close it early.
--
-- KEYS  run HASH   line HASH   due ZSET   open HASH   claims HASH   naps ZSET   log STREAM
-- ARGV  run id, slot, epoch, head, task id, nonce of the attempt (16 bytes), outcome, ms until a sweep looks,
--       log entry ('' = none), log length
-- -> {'ok'} | {'closed'} (the caller holds the lease now) | {'dup'} (another attempt was first) | {'stale', why}
local run, line, due, open, claims, naps, log =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local slot, task, nonce = ARGV[2], ARGV[5], ARGV[6]
local waits = 'p:' .. task
local got = redis.call('HMGET', run, 'epoch', 'plan', 'status', 'lease', waits, 'ends', 'step_ends')
if got[1] ~= ARGV[3] then return {'stale', 'epoch'} end
if got[3] ~= 'running' then return {'stale', got[3]} end
local plan, lease = tonumber(got[2]), got[4]
if plan == 0 or (redis.call('HGET', line, 'head') or '') ~= ARGV[4] then return {'stale', 'head'} end
local ends = math.min(got[6] or math.huge, got[7] or math.huge)
redis.call('HLEN', claims)
redis.call('ZCARD', due)
redis.call('ZCARD', naps)
if ARGV[9] ~= '' then redis.call('XLEN', log) end
local first = redis.call('HGET', open, task)
if first and string.sub(first, 1, 16) ~= nonce then return {'dup'} end
if not first then
  redis.call('HSET', open, task, nonce .. ARGV[7])
  if ARGV[9] ~= '' then redis.call('XADD', log, 'MAXLEN', '~', ARGV[10], '*', 'd', ARGV[9]) end
end
redis.call('HDEL', claims, task)
redis.call('ZREM', naps, task)
if got[5] then
  -- another attempt failed and put the task back for later: that is not needed any more
  redis.call('HDEL', run, waits)
  redis.call('ZREM', due, 't:' .. ARGV[1] .. '\n' .. task)
end
if redis.call('HLEN', open) >= plan and (lease == '' or lease == slot) then
  local clock = redis.call('TIME')
  local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
  redis.call('HSET', run, 'lease', slot)
  redis.call('HDEL', run, 'wake')
  redis.call('ZADD', due, now + ARGV[8], 'r:' .. ARGV[1])
  return {'closed'}
end
-- all that is still out sleeps: nobody need look before the first of them wakes, or its time is over
local asleep = redis.call('ZCARD', naps)
if asleep > 0 and lease == '' and redis.call('HLEN', open) + asleep >= plan then
  local wake = redis.call('ZRANGE', naps, 0, 0, 'WITHSCORES')[2]
  redis.call('HSET', run, 'wake', wake)
  redis.call('ZADD', due, math.min(wake, ends), 'r:' .. ARGV[1])
end
return {'ok'}
