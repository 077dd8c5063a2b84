-- Make the failed items of one chunk, or some of them, ready again. Only rows that say 'failed' go, so a repeat finds none.
--
-- KEYS  batch HASH   rows HASH (of the chunk)   ready LIST   due ZSET   crashes HASH
-- ARGV  batch id, chunk, first index of the chunk, then indexes (none: all that failed)
-- -> number of items made ready; 0 for a cancelled batch
local batch, rows, ready, due, crashes = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local chunk, base = ARGV[2], tonumber(ARGV[3])
if redis.call('HGET', batch, 'state') == 'cancelled' then return 0 end
local all = redis.call('HGETALL', rows)
local failed, chosen = {}, {}
for at = 4, #ARGV do chosen[ARGV[at]] = true end
for at = 1, #all, 2 do
  if string.sub(all[at + 1], 1, 1) == 'f' and (#ARGV == 3 or chosen[all[at]]) then failed[#failed + 1] = tonumber(all[at]) end
end
if #failed == 0 then return 0 end
redis.call('LLEN', ready)
redis.call('ZCARD', due)
redis.call('HLEN', crashes)
table.sort(failed)
local start = failed[1]
for at = 1, #failed do
  -- neighbours go as one range, so that they can be taken together
  if failed[at + 1] ~= failed[at] + 1 then
    redis.call('RPUSH', ready, chunk .. ':' .. (start - base) .. ':' .. (failed[at] + 1 - base) .. ':r')
    start = failed[at + 1]
  end
end
redis.call('HDEL', rows, unpack(failed))
redis.call('HDEL', crashes, unpack(failed))
redis.call('HINCRBY', batch, 'failed', -#failed)
redis.call('ZADD', due, 0, 'b:' .. ARGV[1])
return #failed
