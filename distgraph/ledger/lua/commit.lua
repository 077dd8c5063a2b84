-- Apply one superstep: the new checkpoint, the end of the old one's outcomes, the run's next state. All or nothing,
-- compare-and-set on (epoch, parent checkpoint). The new checkpoint's id is the operation id: a repeat finds it as
-- the head and answers as the first time.
--
-- KEYS  run HASH   line HASH   due ZSET   open HASH   claims HASH   log STREAM   hist ZSET   pending HASH
--       batch HASH   rows HASH                          (the last two: of the run's batch, else the run's own keys)
-- ARGV   1 run id   2 slot   3 epoch   4 parent   5 new head ('' = the head stays)   6 status after it
--        7 ms until a sweep looks at the run   8 'private' (no task of the superstep was offered) or 'offered'
--        9 'index' to keep history, else ''   10 row of the finished batch item, or ''   11 log length, 0 = no log
--       12 index of the batch item ('' = none)   13 epoch of the batch   14 'compact' to delete the run at its end
--       15 #line sets   16 #line dels   17 #run sets   18 #log entries   19 #pending sets   then the data in that order
-- -> {'ok'} | {'stale', why} | {'offered'} (private, but the tasks were offered meanwhile) | {'open'} (some not settled)
local run, line, due, open, claims, log, hist, pending = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local batch, rows = KEYS[9], KEYS[10]
local id, new, status, row, index = ARGV[1], ARGV[5], ARGV[6], ARGV[10], ARGV[12]
local got = redis.call('HMGET', run, 'epoch', 'plan', 'status')
local head = redis.call('HGET', line, 'head') or ''
if index ~= '' and redis.call('HEXISTS', rows, index) == 1 then return {'ok'} end
if not got[1] then return {'stale', 'gone'} end
if new ~= '' and head == new and got[3] == status then return {'ok'} end
if got[1] ~= ARGV[3] then return {'stale', 'epoch'} end
if head ~= ARGV[4] then return {'stale', 'head'} end
if index ~= '' and (redis.call('HGET', batch, 'e') or '0') ~= ARGV[13] then return {'stale', 'batch'} end
local plan = tonumber(got[2])
if plan > 0 then
  if ARGV[8] == 'private' then return {'offered'} end
  if redis.call('HLEN', open) < plan then return {'open'} end
end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local at = 20
local function pairs_into(command, key, count)
  if count > 0 then
    for first = at, at + 2 * count - 1, 200 do
      redis.call(command, key, unpack(ARGV, first, math.min(first + 199, at + 2 * count - 1)))
    end
    at = at + 2 * count
  end
end
local sets, dels, fields, entries, kept =
  tonumber(ARGV[15]), tonumber(ARGV[16]), tonumber(ARGV[17]), tonumber(ARGV[18]), tonumber(ARGV[19])
pairs_into('HSET', line, sets)
if dels > 0 then
  redis.call('HDEL', line, unpack(ARGV, at, at + dels - 1))
  at = at + dels
end
pairs_into('HSET', run, fields)
for _ = 1, entries do
  redis.call('XADD', log, 'MAXLEN', '~', ARGV[11], '*', 'd', ARGV[at])
  at = at + 1
end
pairs_into('HSET', pending, kept)
if new ~= '' then
  redis.call('HSET', line, 'head', new)
  redis.call('DEL', open, claims)
  redis.call('HSET', run, 'plan', 0, 'x', 0)
  if ARGV[9] == 'index' then redis.call('ZADD', hist, 0, new) end
end
redis.call('HSET', run, 'status', status, 'updated', now)
if status == 'running' then
  redis.call('ZADD', due, now + ARGV[7], 'r:' .. id)
  return {'ok'}
end
-- at rest: nobody drives it, nothing is owed, the thread is free
redis.call('HSET', run, 'lease', '', 'ended', now)
redis.call('ZREM', due, 'r:' .. id)
if redis.call('HGET', line, 'run') == id then redis.call('HDEL', line, 'run') end
if row ~= '' and redis.call('HSETNX', rows, index, row) == 1 then
  redis.call('HINCRBY', batch, status, 1)
  redis.call('HINCRBY', batch, 'promoted', -1)
end
if ARGV[14] == 'compact' then
  -- a batch item: its row is what is kept, and the line of a failed one, from which a retry goes on
  redis.call('DEL', run, open, claims, pending, hist)
  if status == 'done' then redis.call('DEL', line) end
end
return {'ok'}
