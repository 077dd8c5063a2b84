-- Tell the readers of a run that it goes on, or begins, at a checkpoint that was there. Once for each epoch: another driver
-- of the run need not say it again. Somebody who was taken for dead, and comes when the run has left that checkpoint or is
-- at rest, says nothing.
--
-- KEYS  run HASH   line HASH   log STREAM
-- ARGV  epoch, head, log length, log entry
-- -> {'ok'}   a repeat too   | {'stale', why}
local run, line, log = KEYS[1], KEYS[2], KEYS[3]
local got = redis.call('HMGET', run, 'epoch', 'status', 'told')
if got[3] == ARGV[1] then return {'ok'} end
if not got[1] then return {'stale', 'gone'} end
if got[1] ~= ARGV[1] then return {'stale', 'epoch'} end
if got[2] ~= 'running' then return {'stale', got[2]} end
if (redis.call('HGET', line, 'head') or '') ~= ARGV[2] then return {'stale', 'head'} end
redis.call('XLEN', log)
redis.call('HSET', run, 'told', ARGV[1])
redis.call('XADD', log, 'MAXLEN', '~', ARGV[3], '*', 'd', ARGV[4])
return {'ok'}
