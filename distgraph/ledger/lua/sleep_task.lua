-- A task sleeps: give it back until its time has come. That time is kept under the sleep's key, and the first one stands:
-- whoever comes to this sleep again, in whatever attempt, wakes when the first would have.
--
-- KEYS  run HASH   line HASH   due ZSET   open HASH   claims HASH   naps ZSET   once HASH
-- ARGV  run id, slot, epoch, head, task id, key of the sleep, 'for' or 'until', ms to sleep or ms since the epoch
-- -> {'ok', ms of the wake-up} | {'done'} settled by another attempt | {'held', slot} | {'stale', why}
local run, line, due, open, claims, naps, once = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local slot, task, field = ARGV[2], ARGV[5], 'z:' .. ARGV[6]
local got = redis.call('HMGET', run, 'epoch', 'plan', 'status', 'lease', 'ends', 'step_ends')
if got[1] ~= ARGV[3] then return {'stale', 'epoch'} end
if got[3] ~= 'running' then return {'stale', got[3]} end
if (redis.call('HGET', line, 'head') or '') ~= ARGV[4] or got[2] == '0' then return {'stale', 'head'} end
if redis.call('HEXISTS', open, task) == 1 then return {'done'} end
local holder = redis.call('HGET', claims, task)
if holder and holder ~= slot then return {'held', holder} end
local ends = math.min(got[5] or math.huge, got[6] or math.huge)
redis.call('ZCARD', due)
redis.call('ZCARD', naps)
local wake = redis.call('HGET', once, field)
if not wake then
  local clock = redis.call('TIME')
  local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
  wake = string.format('%.0f', (ARGV[7] == 'for' and now or 0) + ARGV[8])
  redis.call('HSET', once, field, wake)
end
redis.call('ZADD', naps, wake, task)
redis.call('HDEL', claims, task)
-- once all that is out sleeps, nobody need look before the first of them wakes, or its time is over
if got[4] == '' and redis.call('HLEN', open) + redis.call('ZCARD', naps) >= tonumber(got[2]) then
  local first = redis.call('ZRANGE', naps, 0, 0, 'WITHSCORES')[2]
  redis.call('HSET', run, 'wake', first)
  redis.call('ZADD', due, math.min(first, ends), 'r:' .. ARGV[1])
end
return {'ok', wake}
