-- End a slice whose driver stopped before its items: it handed them back, or it died. Changes nothing if the slice is
-- not that slot's any more.
--
-- KEYS  batch HASH   ready LIST   slices HASH   due ZSET   crashes HASH   rows HASH (of the chunk)
-- ARGV  batch id, slice id, slot, index a crash is counted for ('' = none), crashes allowed, its row if that is reached,
--       then ranges to make ready ('chunk:from:to:flag'; flag r = taken before, a = run alone)
-- -> {'ok', crashes} | {'quarantined', crashes} | {'stale'}
local batch, ready, slices, due, crashes, rows = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local mine = redis.call('HGET', slices, ARGV[2])
if not mine or string.sub(mine, 1, string.find(mine, '|', 1, true) - 1) ~= ARGV[3] then return {'stale'} end
local counted, answer = 0, 'ok'
for at = #ARGV, 7, -1 do redis.call('LPUSH', ready, ARGV[at]) end
if ARGV[4] ~= '' then
  counted = redis.call('HINCRBY', crashes, ARGV[4], 1)
  if counted >= tonumber(ARGV[5]) then
    answer = 'quarantined'
    if redis.call('HSETNX', rows, ARGV[4], ARGV[6]) == 1 then redis.call('HINCRBY', batch, 'failed', 1) end
  end
end
redis.call('HDEL', slices, ARGV[2])
redis.call('ZREM', due, 's:' .. ARGV[1] .. '\n' .. ARGV[2])
local clock = redis.call('TIME')
redis.call('ZADD', due, clock[1] * 1000 + math.floor(clock[2] / 1000), 'b:' .. ARGV[1])
return {answer, counted}
