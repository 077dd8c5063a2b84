-- Bind up to k ready items to a slice: the items one driver advances together. The slice's id is the operation id.
-- Suspects (flag 'a') and what is known to have crashed (flag 'c') are taken alone.
--
-- KEYS  batch HASH   ready LIST   slices HASH   due ZSET
-- ARGV  batch id, slice id, slot, k, ms until a sweep looks
-- -> {'ok', 'chunk:from:to:flag', epoch} | {'none', state}
local batch, ready, slices, due = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local slice, slot, k = ARGV[2], ARGV[3], tonumber(ARGV[4])
local got = redis.call('HMGET', batch, 'e', 'state')
local mine = redis.call('HGET', slices, slice)
if mine then return {'ok', string.sub(mine, string.find(mine, '|', 1, true) + 1), got[1]} end
if got[2] == 'cancelled' or got[2] == 'paused' then return {'none', got[2]} end
local range = redis.call('LINDEX', ready, 0)
if not range then return {'none', ''} end
local chunk, from, to, flag = string.match(range, '^(%d+):(%d+):(%d+):(%a)$')
redis.call('ZCARD', due)
from, to = tonumber(from), tonumber(to)
if flag == 'a' or flag == 'c' then k = 1 end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local rest = nil
if to - from > k then
  rest = chunk .. ':' .. (from + k) .. ':' .. to .. ':' .. flag
  to = from + k
end
range = chunk .. ':' .. from .. ':' .. to .. ':' .. flag
redis.call('HSET', slices, slice, slot .. '|' .. range)
redis.call('ZADD', due, now + ARGV[5], 's:' .. ARGV[1] .. '\n' .. slice)
if rest then
  redis.call('LSET', ready, 0, rest)
else
  redis.call('LPOP', ready)
  -- nobody needs to look for items here until there are some again
  if redis.call('EXISTS', ready) == 0 then redis.call('ZREM', due, 'b:' .. ARGV[1]) end
end
return {'ok', range, got[1]}
