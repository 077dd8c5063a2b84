-- Delete a run that has come to its end, with all that is its own: log, effects, sleeps; and its thread's line of
-- checkpoints, if the thread is its own and nobody else has been there. Never a run that may go on by itself or be
-- answered. One whose time is over leaves a tombstone. Lines of nested graphs go first, in portions.
--
-- KEYS  run HASH   line HASH   due ZSET   runs ZSET   turns LIST   open HASH   claims HASH   tries HASH   naps ZSET
--       log STREAM   once HASH   hist ZSET   pending HASH   nested SET   gone STRING (the tombstone)   dead ZSET
--       ages ZSET   then of each nested line that is named: line HASH   pending HASH   hist ZSET
-- ARGV  run id, 'own' (the thread is the run's own) or '', 'expired' (only if its time is over) or 'now',
--       ms the tombstone stays, then names of nested lines
-- -> {'ok'}   a repeat too, and of a run that never was
--  | {'more'} nested lines went, and there are others   | {'live', status}   | {'kept'} its time is not over
local run, line, due, runs, turns, nested, gone = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[14], KEYS[15]
local id = ARGV[1]
local got = redis.call('HMGET', run, 'status', 'ended', 'retain')
local status = got[1]
if not status then return {'ok'} end
if status ~= 'done' and status ~= 'failed' and status ~= 'cancelled' then return {'live', status} end
local over = got[2] and got[3] and got[2] + got[3]
if ARGV[3] == 'expired' then
  local clock = redis.call('TIME')
  if not over or clock[1] * 1000 + math.floor(clock[2] / 1000) < over then return {'kept'} end
end
local held = redis.call('HMGET', line, 'run', 'last', 'head')
-- without a latest run and a head it is what a cancel left of a thread that was deleted
local alone = held[2] == id or not held[2] and not held[3]
local takes = ARGV[2] == 'own' and not held[1] and alone and redis.call('LLEN', turns) == 0
local more = takes and redis.call('SCARD', nested) > #ARGV - 4
redis.call('ZCARD', due)
redis.call('ZCARD', runs)
redis.call('ZCARD', KEYS[16])
redis.call('ZCARD', KEYS[17])
if ARGV[3] == 'expired' and not more then redis.call('SET', gone, string.format('%.0f', over), 'PX', ARGV[4]) end
if takes and #ARGV > 4 then
  redis.call('SREM', nested, unpack(ARGV, 5))
  redis.call('UNLINK', unpack(KEYS, 18))
end
if more then return {'more'} end
if takes then
  redis.call('UNLINK', line, KEYS[12], KEYS[13], nested)
  redis.call('ZREM', KEYS[17], id)
end
redis.call('UNLINK', run, KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11])
redis.call('ZREM', runs, id)
redis.call('ZREM', KEYS[16], id)
redis.call('ZREM', due, 'r:' .. id)
return {'ok'}
