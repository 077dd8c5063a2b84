-- Delete a thread's own line of checkpoints, unless a run holds it.
--
-- KEYS  line HASH   pend HASH   hist ZSET
-- -> {'ok'} | {'busy', run id}
local run = redis.call('HGET', KEYS[1], 'run')
if run then return {'busy', run} end
redis.call('UNLINK', unpack(KEYS))
return {'ok'}
