-- Cancel a run, or queue a resting one again (resume after an interrupt, retry after a failure). Bumps the epoch:
-- whatever an older driver or task still sends is refused. A cancelled run's thread goes to who waits in line. Or pin an
-- active run to another version of its graph; or queue one that is active to be ended, for its time is over.
--
-- KEYS  run HASH   line HASH   due ZSET   open HASH   claims HASH   tries HASH   naps ZSET   log STREAM   turns LIST
--       and of a batch item: batch HASH   rows HASH (of its chunk)   asks SET
-- ARGV  'cancel', 'requeue' or 'repin' (the first field is the version, or that it is late), run id, nonce of the call,
--       ms until due, log entry ('' = none), log length,
--       index of the batch item ('' = none), its row ('' = none), #run sets, field, value, ..., then ids of outcomes to drop
-- -> {'ok', epoch} | {'busy', run id} (requeue: the thread is taken)
--  | {'passed', run id} (requeue: the thread has gone on with that run)
--  | {'gone', status}    its status forbids it, or an outcome to drop is not there: the caller saw an earlier superstep
local run, line, due, open, claims, tries, naps, log, turns =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local batch, rows, asking = KEYS[10], KEYS[11], KEYS[12]
local what, id, nonce, index = ARGV[1], ARGV[2], ARGV[3], ARGV[7]
local got = redis.call('HMGET', run, 'status', 'epoch', 'op', 'at')
local status = got[1]
if not status then return {'gone', ''} end
if got[3] == nonce then return {'ok', got[2]} end
local held = redis.call('HMGET', line, 'run', 'asks', 'last', 'head')
local active = held[1]
if what == 'cancel' then
  if status == 'done' or status == 'failed' or status == 'cancelled' then return {'gone', status} end
elseif what == 'repin' then
  if status ~= 'queued' and status ~= 'running' or active ~= id then return {'gone', status} end
  if redis.call('HGET', run, ARGV[10]) == ARGV[11] then return {'gone', status} end
else
  if status ~= 'interrupted' and status ~= 'failed' then return {'gone', status} end
  if active and active ~= id then return {'busy', active} end
  if held[3] and held[3] ~= id then return {'passed', held[3]} end
  -- outcomes of a checkpoint that the thread has left, by somebody's own change or answer, wait for nothing
  if #ARGV >= 10 + 2 * ARGV[9] and got[4] ~= held[4] then return {'gone', status} end
  for drop = 10 + 2 * ARGV[9], #ARGV do
    if redis.call('HEXISTS', open, ARGV[drop]) == 0 then return {'gone', status} end
  end
end
redis.call('ZCARD', due)
redis.call('HLEN', open)
redis.call('LLEN', turns)
if ARGV[5] ~= '' then redis.call('XLEN', log) end
if index ~= '' then redis.call('HLEN', batch) redis.call('HLEN', rows) redis.call('SCARD', asking) end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
-- a delete first: a full server lets a script go on that has begun with one, and a cancelled run makes room
redis.call('DEL', claims, tries, naps)
if index ~= '' then redis.call('SREM', asking, index) end
local epoch = redis.call('HINCRBY', line, 'e', 1)
redis.call('HSET', run, 'epoch', epoch, 'op', nonce, 'lease', '', 'plan', 0, 'updated', now, 'x', 0)
local at = 10 + 2 * ARGV[9]
-- who goes on by hand has all of its time, and all of its retries, again
if what == 'requeue' then redis.call('HDEL', run, 'ends', 'step_ends', 'late', 'retries') end
if at > 10 then redis.call('HSET', run, unpack(ARGV, 10, at - 1)) end
redis.call('HDEL', run, 'wake')
-- tasks that wait for their next attempt wait for nothing now
for _, field in ipairs(redis.call('HKEYS', run)) do
  if string.sub(field, 1, 2) == 'p:' then
    redis.call('HDEL', run, field)
    redis.call('ZREM', due, 't:' .. id .. '\n' .. string.sub(field, 3))
  end
end
if ARGV[5] ~= '' then redis.call('XADD', log, 'MAXLEN', '~', ARGV[6], '*', 'd', ARGV[5]) end
if what == 'cancel' then
  redis.call('HSET', run, 'status', 'cancelled', 'ended', now)
  redis.call('ZREM', due, 'r:' .. id)
  redis.call('DEL', open)
  if active == id or not active and held[2] == id then
    redis.call('HDEL', line, 'run', 'asks')
    local heir = redis.call('LPOP', turns)
    if heir then
      redis.call('HSET', line, 'run', heir, 'last', heir)
      redis.call('ZADD', due, now + ARGV[4], 'r:' .. heir)
    end
  else
    redis.call('LREM', turns, 1, id)
  end
  if ARGV[8] ~= '' and redis.call('HSETNX', rows, index, ARGV[8]) == 1 then
    redis.call('HINCRBY', batch, 'cancelled', 1)
    redis.call('HINCRBY', batch, 'promoted', -1)
  end
  return {'ok', tostring(epoch)}
end
for drop = at, #ARGV do redis.call('HDEL', open, ARGV[drop]) end
redis.call('HSET', run, 'status', 'queued', 'hinted', now)
redis.call('HSET', line, 'run', id)
redis.call('HDEL', line, 'asks')
redis.call('ZADD', due, now + ARGV[4], 'r:' .. id)
return {'ok', tostring(epoch)}
