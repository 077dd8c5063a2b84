-- End a slice whose driver stopped before its items: it handed them back, or it died. What has come to no end is ready
-- again: each item of the slice that neither has its row nor goes on as a run of its own, whatever the caller knows of it.
-- Changes nothing if the slice is not that slot's any more. The last answer is remembered for a repeat.
--
-- KEYS  batch HASH   ready LIST   slices HASH   due ZSET   crashes HASH   rows HASH (of the chunk)   dead ZSET
--       then the run HASH of each item of the slice, in order
-- ARGV  batch id, slice id, slot, flag of what is ready again (r = taken before, a = suspect of a worker's death),
--       index a crash is counted for ('' = none), crashes allowed, its row if that is reached, items of the slice
--       ('chunk:from:to'), index of the chunk's first item
-- -> {'ok', crashes} | {'quarantined', crashes} | {'stale'}; no crash is counted for an item that has come to its end
local batch, ready, slices, due, crashes, rows, dead = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local slice, flag, culprit = ARGV[2], ARGV[4], ARGV[5]
local mine = redis.call('HGET', slices, slice)
local got = redis.call('HMGET', batch, 'state', 'returned', 'answered', 'counted')
if not mine and got[2] == slice .. '|' .. ARGV[3] then return {got[3], tonumber(got[4])} end
local held, was = string.match(mine or '', '^(.*):(%a)$')
if held ~= ARGV[3] .. '|' .. ARGV[8] then return {'stale'} end
local chunk, from, to = string.match(ARGV[8], '^(%d+):(%d+):(%d+)$')
from, to = tonumber(from), tonumber(to)

-- What is left of the slice. Neighbours go as one range, so that they can be taken together; the culprit goes by itself.
local left, open, blamed = {}, nil, false
local function close(stop)
  if open then left[#left + 1] = chunk .. ':' .. open .. ':' .. stop .. ':' .. flag end
  open = nil
end
for offset = from, to - 1 do
  local index, key = string.format('%d', ARGV[9] + offset), 8 + offset - from
  local settled = redis.call('HEXISTS', rows, index) == 1 or redis.call('EXISTS', KEYS[key]) == 1
  if index == culprit and not settled then blamed = offset end
  if settled or index == culprit then close(offset) else open = open or offset end
end
close(to)
redis.call('LLEN', ready)
redis.call('ZCARD', due)
redis.call('HLEN', crashes)
redis.call('ZCARD', dead)
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
-- first what a full server does too: it is to get room again
redis.call('HDEL', slices, slice)
redis.call('ZREM', due, 's:' .. ARGV[1] .. '\n' .. slice)
local counted, answer = 0, 'ok'
if blamed then
  -- the death that made it a suspect was one of its own, now that it died alone or was named
  local suspected = was == 'a' and redis.call('HEXISTS', crashes, culprit) == 0
  counted = redis.call('HINCRBY', crashes, culprit, suspected and 2 or 1)
  if counted >= tonumber(ARGV[6]) then
    answer = 'quarantined'
    redis.call('HSET', rows, culprit, ARGV[7])
    redis.call('HINCRBY', batch, 'failed', 1)
    redis.call('ZADD', dead, now, ARGV[1] .. ':' .. culprit)
  else
    -- who is named has crashed (c); who ran alone stays a suspect
    left[#left + 1] = chunk .. ':' .. blamed .. ':' .. (blamed + 1) .. ':' .. (flag == 'r' and 'c' or flag)
  end
end
redis.call('HSET', batch, 'returned', slice .. '|' .. ARGV[3], 'answered', answer, 'counted', counted)
-- of a cancelled batch nothing is taken any more
if got[1] ~= 'cancelled' and #left > 0 then
  for at = #left, 1, -1 do redis.call('LPUSH', ready, left[at]) end
  redis.call('ZADD', due, now, 'b:' .. ARGV[1])
end
return {answer, counted}
