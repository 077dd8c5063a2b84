-- Delete some checkpoints of a line: their records, the values that no other one names, what tasks after them wrote. The
-- caller has looked at all that stay; refused where the line is not the one he saw any more. Wide supersteps' writes go
-- first, in portions.
--
-- KEYS  line HASH   pend HASH   hist ZSET
-- ARGV  1 run that may hold the line ('' = none)   2 head, 3 #checkpoints of the history, 4 #fields of the line: as seen
--       5 the head from now on   6 #checkpoints   7 their ids, then fields of the line
-- -> {'ok'}   a repeat too   | {'more'} writes went, and there are others | {'moved'} | {'busy', run id}
local line, pend, hist = KEYS[1], KEYS[2], KEYS[3]
local count = tonumber(ARGV[6])
local got = redis.call('HMGET', line, 'head', 'run', 'c:' .. ARGV[7])
if got[2] and got[2] ~= ARGV[1] then return {'busy', got[2]} end
redis.call('HLEN', pend)
if not got[3] and not redis.call('ZSCORE', hist, ARGV[7]) then return {'ok'} end
if got[1] ~= ARGV[2] or redis.call('ZCARD', hist) ~= tonumber(ARGV[3]) or redis.call('HLEN', line) ~= tonumber(ARGV[4]) then
  return {'moved'}
end
local left = 1000
for at = 7, 6 + count do
  local id = ARGV[at]
  local n = tonumber(redis.call('HGET', pend, id) or 0)
  while n > 0 and left > 0 do
    local kept = redis.call('HGET', pend, id .. '|' .. n) or ''
    redis.call('HDEL', pend, id .. '|' .. n, id .. '|' .. string.match(kept, '^[^|]*|?[^|]*'))
    n, left = n - 1, left - 1
  end
  if n > 0 then
    redis.call('HSET', pend, id, n)
    return {'more'}
  end
  redis.call('HDEL', pend, id)
end
for first = 7, 6 + count, 500 do redis.call('ZREM', hist, unpack(ARGV, first, math.min(first + 499, 6 + count))) end
for at = 7, 6 + count do redis.call('HDEL', line, 'c:' .. ARGV[at]) end
for first = 7 + count, #ARGV, 500 do redis.call('HDEL', line, unpack(ARGV, first, math.min(first + 499, #ARGV))) end
if ARGV[5] ~= ARGV[2] then redis.call('HSET', line, 'head', ARGV[5], 'e', (redis.call('HGET', line, 'e') or 0) + 1) end
return {'ok'}
