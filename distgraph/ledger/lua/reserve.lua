-- Tie a run's id to a thread of another name, unless the id is taken.
--
-- KEYS  directory STRING   run HASH (where a run of this id on a thread of its own id would be)
-- ARGV  run id, thread id
-- -> the thread the id is tied to: this one, or that of whoever was first
local directory, own = KEYS[1], KEYS[2]
local tied = redis.call('GET', directory)
if tied then return tied end
if redis.call('EXISTS', own) == 1 then return ARGV[1] end
redis.call('SET', directory, ARGV[2])
return ARGV[2]
