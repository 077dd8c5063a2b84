-- Take one offered task. A claim saves work, it never decides: the first valid settlement wins.
--
-- KEYS  run HASH   line HASH   open HASH   claims HASH   tries HASH   due ZSET   naps ZSET
-- ARGV  run id, slot, epoch, head, task id
-- -> {'ok', crashes of this task so far, attempts so far, ms of the first attempt, {field, value, ...} of the run: what
--     an attempt needs of it, never its input, which every task of a wide superstep would carry away, and the ms that are
--     left of its time limits, 'ends_in' and 'step_in'; why it crashed last}
--  | {'done'} settled   | {'held', slot}   | {'asleep', ms of the wake-up}   | {'stale', why}
local run, line, open, claims, tries, due, naps = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local slot, task = ARGV[2], ARGV[5]
local got = redis.call('HMGET', run, 'epoch', 'plan', 'status', 'ends', 'step_ends')
if got[1] ~= ARGV[3] then return {'stale', 'epoch'} end
if got[3] ~= 'running' then return {'stale', got[3]} end
if (redis.call('HGET', line, 'head') or '') ~= ARGV[4] or got[2] == '0' then return {'stale', 'head'} end
if redis.call('HEXISTS', open, task) == 1 then return {'done'} end
local holder = redis.call('HGET', claims, task)
if holder and holder ~= slot then return {'held', holder} end
local tried = redis.call('HMGET', tries, 'x:' .. task, 'a:' .. task, 'f:' .. task, 'w:' .. task)
redis.call('ZCARD', due)
local wake = redis.call('ZSCORE', naps, task)
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
if wake and tonumber(wake) > now then return {'asleep', wake} end
local record = {}
local function tell(name, value)
  if value then record[#record + 1], record[#record + 2] = name, value end
end
tell('ends_in', got[4] and string.format('%.0f', got[4] - now))
tell('step_in', got[5] and string.format('%.0f', got[5] - now))
redis.call('HSET', claims, task, slot)
if not tried[3] then redis.call('HSET', tries, 'f:' .. task, now) end
-- it waits for its next attempt no longer; if this one dies, whoever finds it unclaimed hints it
redis.call('HDEL', run, 'p:' .. task, 'wake')
if wake then redis.call('ZREM', naps, task) end
redis.call('ZREM', due, 't:' .. ARGV[1] .. '\n' .. task)
local fields = {'epoch', 'config', 'batch_e', 'key', 'stop', 'go', 'outside', 'x', 'why', 'retries', 'n:' .. task}
for at, value in ipairs(redis.call('HMGET', run, unpack(fields))) do tell(fields[at], value) end
return {'ok', tried[1] or '0', tried[2] or '0', tried[3] or tostring(now), record, tried[4] or ''}
