-- Make the failed items of one chunk ready again. Only rows that say 'failed' go, so a repeat finds none.
--
-- KEYS  batch HASH   rows HASH (of the chunk)   ready LIST   due ZSET   crashes HASH
-- ARGV  batch id, chunk, first index of the chunk
-- -> number of items made ready
local batch, rows, ready, due = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local all = redis.call('HGETALL', rows)
local again = 0
for at = 1, #all, 2 do
  if string.sub(all[at + 1], 1, 1) == 'f' then
    local offset = all[at] - ARGV[3]
    redis.call('RPUSH', ready, ARGV[2] .. ':' .. offset .. ':' .. (offset + 1) .. ':r')
    redis.call('HDEL', rows, all[at])
    redis.call('HDEL', KEYS[5], all[at])
    again = again + 1
  end
end
if again > 0 then
  redis.call('HINCRBY', batch, 'failed', -again)
  redis.call('ZADD', due, 0, 'b:' .. ARGV[1])
end
return again
