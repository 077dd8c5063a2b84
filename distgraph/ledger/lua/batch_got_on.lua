-- The one item of a slice that crashed before, or is suspect of a worker's death, has got on: its crashes are forgotten,
-- for they count only where nothing came of it in between. Of a slot that does not hold the slice any more nothing is
-- believed.
--
-- KEYS  slices HASH   crashes HASH
-- ARGV  slice id, slot, index of the item
-- -> 1 | 0 (it holds it no more)
local slices, crashes = KEYS[1], KEYS[2]
local mine = redis.call('HGET', slices, ARGV[1])
if not mine or string.sub(mine, 1, string.find(mine, '|', 1, true) - 1) ~= ARGV[2] then return 0 end
redis.call('HDEL', crashes, ARGV[3])
-- the death that made it a suspect does not count any more either: to whoever takes the slice over it is an item like others
redis.call('HSET', slices, ARGV[1], string.sub(mine, 1, -2) .. 'r')
return 1
