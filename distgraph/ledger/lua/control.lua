-- Cancel a run, or queue a resting one again (resume after an interrupt, retry after a failure). Bumps the epoch:
-- whatever an older driver or task still sends is refused.
--
-- KEYS  run HASH   line HASH   due ZSET   open HASH   claims HASH   log STREAM   batch HASH   rows HASH
-- ARGV  'cancel' or 'requeue', run id, nonce of the call, ms until due, log entry ('' = no log), log length,
--       index of the batch item ('' = none), its row, #run sets, field, value, ..., then ids of outcomes to drop
-- -> {'ok', epoch} | {'gone', status} | {'busy', run id} (requeue: the thread is taken)
local run, line, due, open, claims, log = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local what, id = ARGV[1], ARGV[2]
local got = redis.call('HMGET', run, 'status', 'epoch', 'op')
local status = got[1]
if not status then return {'gone', ''} end
if got[3] == ARGV[3] then return {'ok', got[2]} end
local resting = status == 'interrupted' or status == 'failed'
if what == 'cancel' and (status == 'done' or status == 'failed' or status == 'cancelled') then return {'gone', status} end
if what == 'requeue' then
  if not resting then return {'gone', status} end
  local active = redis.call('HGET', line, 'run')
  if active and active ~= id then return {'busy', active} end
end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local epoch = redis.call('HINCRBY', line, 'e', 1)
redis.call('HSET', run, 'epoch', epoch, 'op', ARGV[3], 'lease', '', 'plan', 0, 'updated', now, 'x', 0)
local at, sets = 10, tonumber(ARGV[9])
if sets > 0 then
  redis.call('HSET', run, unpack(ARGV, at, at + 2 * sets - 1))
  at = at + 2 * sets
end
redis.call('DEL', claims)
if ARGV[5] ~= '' then redis.call('XADD', log, 'MAXLEN', '~', ARGV[6], '*', 'd', ARGV[5]) end
if what == 'cancel' then
  redis.call('HSET', run, 'status', 'cancelled', 'ended', now)
  redis.call('ZREM', due, 'r:' .. id)
  if redis.call('HGET', line, 'run') == id then redis.call('HDEL', line, 'run') end
  if ARGV[7] ~= '' and redis.call('HSETNX', KEYS[8], ARGV[7], ARGV[8]) == 1 then
    redis.call('HINCRBY', KEYS[7], 'cancelled', 1)
    redis.call('HINCRBY', KEYS[7], 'promoted', -1)
  end
  return {'ok', tostring(epoch)}
end
for drop = at, #ARGV do redis.call('HDEL', open, ARGV[drop]) end
redis.call('HSET', run, 'status', 'queued', 'hinted', now)
redis.call('HSET', line, 'run', id)
redis.call('ZADD', due, now + ARGV[4], 'r:' .. id)
return {'ok', tostring(epoch)}
