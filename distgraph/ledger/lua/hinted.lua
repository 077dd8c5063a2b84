-- Note when a run was last hinted, unless it is gone: a sweep that comes late must not leave a ghost of it.
--
-- KEYS  run HASH
-- ARGV  ms of the hint
-- -> {'ok'} | {'gone', ''}
local run = KEYS[1]
if redis.call('EXISTS', run) == 0 then return {'gone', ''} end
redis.call('HSET', run, 'hinted', ARGV[1])
return {'ok'}
