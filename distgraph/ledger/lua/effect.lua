-- Record the result of an effect, unless somebody was first or the run is gone: who comes late leaves no ghost of it.
--
-- KEYS  once HASH   run HASH   and of a batch item: batch HASH (an item in a slice has no record of its own)
-- ARGV  key of the effect, its result
-- -> the result that stands | nil: the run is gone
if redis.call('EXISTS', KEYS[2], KEYS[3] or KEYS[2]) == 0 then return false end
redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2])
return redis.call('HGET', KEYS[1], ARGV[1])
