-- Take the lease to drive a run on.
--
-- KEYS  run HASH   line HASH   due ZSET   open HASH
-- ARGV  run id, slot, ms until a sweep looks at it
-- -> {'ok', head checkpoint id, {field, value, ...}}   a repeat by the same slot too. Time limits of the run, and of its
--    superstep, begin with the first claim; 'ends_in' and 'step_in' are the ms that are left of them
--  | {'gone', status}    nothing to drive: at rest, or no such run
--  | {'held', slot}      another slot drives it
--  | {'waits', run id}   another run has the thread: it is not this one's turn
--  | {'open', hinted}    its tasks are out; whoever settles the last one drives
local run, line, due, open = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local got = redis.call('HMGET', run, 'status', 'lease', 'plan', 'hinted', 'limit', 'ends', 'step_limit', 'step_ends')
local status, lease, plan = got[1], got[2], tonumber(got[3] or 0)
if not status then return {'gone', ''} end
if status ~= 'queued' and status ~= 'running' then return {'gone', status} end
if lease ~= '' and lease ~= ARGV[2] then return {'held', lease} end
local held = redis.call('HMGET', line, 'head', 'run')
if held[2] ~= ARGV[1] then return {'waits', held[2] or ''} end
if plan > 0 and redis.call('HLEN', open) < plan then return {'open', got[4]} end
redis.call('ZCARD', due)
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local begun, left = { 'lease', ARGV[2], 'status', 'running' }, {}
local function limit(length, ends, name, rest)
  if not length then return end
  if not ends then
    ends = string.format('%.0f', now + length)
    begun[#begun + 1], begun[#begun + 2] = name, ends
  end
  left[#left + 1], left[#left + 2] = rest, string.format('%.0f', ends - now)
end
limit(got[5], got[6], 'ends', 'ends_in')
limit(got[7], got[8], 'step_ends', 'step_in')
redis.call('HSET', run, unpack(begun))
redis.call('HSETNX', run, 'started', now)
redis.call('ZADD', due, now + ARGV[3], 'r:' .. ARGV[1])
local record = redis.call('HGETALL', run)
for _, part in ipairs(left) do record[#record + 1] = part end
return {'ok', held[1] or '', record}
