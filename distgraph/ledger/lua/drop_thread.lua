-- Delete a thread's own line of checkpoints, unless a run holds it or waits for it.
--
-- KEYS  line HASH   pend HASH   hist ZSET   turns LIST   ages ZSET
-- ARGV  thread
-- -> {'ok'} | {'busy', run id}
local line, pend, hist, turns, ages = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local run = redis.call('HGET', line, 'run') or redis.call('LINDEX', turns, 0)
if run then return {'busy', run} end
redis.call('ZREM', ages, ARGV[1])
redis.call('UNLINK', line, pend, hist)
return {'ok'}
