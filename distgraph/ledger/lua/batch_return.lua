-- End a slice whose driver stopped before its items: it handed them back, or it died. Changes nothing if the slice is
-- not that slot's any more. The last answer is remembered for a repeat.
--
-- KEYS  batch HASH   ready LIST   slices HASH   due ZSET   crashes HASH   rows HASH (of the chunk)   dead ZSET
-- ARGV  batch id, slice id, slot, index a crash is counted for ('' = none), crashes allowed, its row if that is reached,
--       then ranges to make ready ('chunk:from:to:flag'; flag r = taken before, a = suspect of a worker's death,
--       c = crashed before)
-- -> {'ok', crashes} | {'quarantined', crashes} | {'stale'}
local batch, ready, slices, due, crashes, rows, dead = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local slice, index = ARGV[2], ARGV[4]
local mine = redis.call('HGET', slices, slice)
local got = redis.call('HMGET', batch, 'state', 'returned', 'answered', 'counted')
if not mine and got[2] == slice .. '|' .. ARGV[3] then return {got[3], tonumber(got[4])} end
if not mine or string.sub(mine, 1, string.find(mine, '|', 1, true) - 1) ~= ARGV[3] then return {'stale'} end
redis.call('LLEN', ready)
redis.call('ZCARD', due)
redis.call('HLEN', crashes)
redis.call('HLEN', rows)
redis.call('ZCARD', dead)
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
-- first what a full server does too: it is to get room again
redis.call('HDEL', slices, slice)
redis.call('ZREM', due, 's:' .. ARGV[1] .. '\n' .. slice)
local counted, answer = 0, 'ok'
if index ~= '' then
  counted = redis.call('HINCRBY', crashes, index, 1)
  if counted >= tonumber(ARGV[5]) then
    answer = 'quarantined'
    if redis.call('HSETNX', rows, index, ARGV[6]) == 1 then
      redis.call('HINCRBY', batch, 'failed', 1)
      redis.call('ZADD', dead, now, ARGV[1] .. ':' .. index)
    end
  end
end
redis.call('HSET', batch, 'returned', slice .. '|' .. ARGV[3], 'answered', answer, 'counted', counted)
-- of a cancelled batch nothing is taken any more
if got[1] ~= 'cancelled' and #ARGV > 6 then
  for at = #ARGV, 7, -1 do redis.call('LPUSH', ready, ARGV[at]) end
  redis.call('ZADD', due, now, 'b:' .. ARGV[1])
end
return {answer, counted}
