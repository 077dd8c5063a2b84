-- What crashed before has got on: its crashes are forgotten, for they count only where nothing came of it in between.
-- Of a slot that does not hold it any more nothing is believed.
--
-- KEYS  run HASH   claims HASH   tries HASH
-- ARGV  slot, task id that it has claimed ('' = the run that it drives)
-- -> 1 | 0 (it holds it no more)
local run, claims, tries = KEYS[1], KEYS[2], KEYS[3]
local slot, task = ARGV[1], ARGV[2]
if task == '' then
  if redis.call('HGET', run, 'lease') ~= slot then return 0 end
  redis.call('HDEL', run, 'x')
else
  if redis.call('HGET', claims, task) ~= slot then return 0 end
  redis.call('HDEL', tries, 'x:' .. task, 'w:' .. task)
end
return 1
