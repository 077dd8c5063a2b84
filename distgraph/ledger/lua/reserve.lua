-- Tie a run's id to a thread of another name, unless the id is taken. A tie is provisional until the run is there, so that
-- a refused submission does not use up the id.
--
-- KEYS  directory STRING   run HASH (where a run of this id on a thread of its own id would be)
-- ARGV  run id, thread id, 'hold' (provisional) | 'keep' (for good) | 'drop' (if it is provisional), ms a hold lasts
-- -> the thread the id is tied to: this one, or that of whoever was first; of 'drop' '' if it was dropped
local directory, own = KEYS[1], KEYS[2]
local thread, how = ARGV[2], ARGV[3]
local tied = redis.call('GET', directory)
if tied and tied ~= thread then return tied end
if how == 'drop' then
  if tied and redis.call('PTTL', directory) == -1 then return tied end
  redis.call('DEL', directory)
  return ''
end
-- A run of this id is there: on the thread of its own id; or on this very thread, and a server that was rolled back has
-- lost the tie.
if not tied and redis.call('EXISTS', own) == 1 and redis.call('HGET', own, 'thread') ~= thread then return ARGV[1] end
if how == 'keep' then
  redis.call('SET', directory, thread)
elseif not tied then
  redis.call('SET', directory, thread, 'PX', ARGV[4])
end
return thread
