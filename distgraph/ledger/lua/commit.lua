-- Apply one superstep: the new checkpoint, the end of the old one's outcomes, the run's next state. All or nothing,
-- compare-and-set on (epoch, parent checkpoint). The new checkpoint's id is the operation id: a repeat finds it as
-- the head and answers as the first time; one that only brings the run to rest finds it at rest; one that ends a batch
-- item finds its row, as does another driver that came to the same one.
--
-- KEYS  run HASH   line HASH   due ZSET   open HASH   claims HASH   tries HASH   naps ZSET   log STREAM   hist ZSET
--       pending HASH   turns LIST   once HASH
--       and of a batch item: batch HASH   rows HASH (of its chunk)   input LIST (of its chunk)   asks SET
-- ARGV   1 run id   2 slot   3 epoch   4 parent   5 new head ('' = the head stays)   6 status after it
--        7 ms until a sweep looks at the run   8 'private' (no task of the superstep was offered), 'offered', or 'kept' (it
--          was, and what its tasks came to stays: who answers or retries the run needs it)
--        9 what is in the history from now on: 'new', 'parent', 'both', or ''   10 row of the finished batch item, or ''
--       11 log length   12 index of the batch item ('' = none)   13 epoch of the batch   14 so many ms records of effects are
--          kept of what is done; and of a batch item nothing else but the row ('' = keep all)
--       15 chunk of the batch item
--       16 #line sets   17 #line dels   18 #run sets   19 #log entries   20 #pending sets   then the data in that order
-- -> {'ok'} | {'stale', why} | {'offered'} (private, but the tasks were offered meanwhile) | {'open'} (some not settled)
local run, line, due, open, claims, tries, naps, log, hist, pending, turns =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11]
local once, batch, rows, input, asking = KEYS[12], KEYS[13], KEYS[14], KEYS[15], KEYS[16]
local id, slot, parent, new, status, row, index =
  ARGV[1], ARGV[2], ARGV[4], ARGV[5], ARGV[6], ARGV[10], ARGV[12]
if index ~= '' then
  local kept = redis.call('HGET', rows, index)
  if kept and kept == row then return {'ok'} end
  if kept then return {'stale', 'row'} end
end
local got = redis.call('HMGET', run, 'epoch', 'plan', 'status', 'step_limit')
local head = redis.call('HGET', line, 'head') or ''
if not got[1] then return {'stale', 'gone'} end
if new ~= '' and head == new and got[3] == status then return {'ok'} end
if got[1] ~= ARGV[3] then return {'stale', 'epoch'} end
if head ~= parent then return {'stale', 'head'} end
if got[3] ~= 'running' then
  if new == '' and got[3] == status then return {'ok'} end
  return {'stale', got[3]}
end
if new ~= '' and new <= head then return {'stale', 'order'} end
if index ~= '' and (redis.call('HGET', batch, 'e') or '') ~= ARGV[13] then return {'stale', 'batch'} end
local plan = tonumber(got[2])
if plan > 0 then
  if ARGV[8] == 'private' then return {'offered'} end
  if redis.call('HLEN', open) < plan then return {'open'} end
elseif ARGV[8] == 'kept' then
  return {'stale', 'plan'} -- a server that was rolled back has forgotten that it was offered, and what came of it
end
local sets, dels, fields, entries, kept = 2 * ARGV[16], tonumber(ARGV[17]), 2 * ARGV[18], tonumber(ARGV[19]), 2 * ARGV[20]
redis.call('ZCARD', due)
redis.call('LLEN', turns)
if entries > 0 then redis.call('XLEN', log) end
if kept > 0 then redis.call('HLEN', pending) end
if ARGV[9] ~= '' then redis.call('ZCARD', hist) end
if row ~= '' then redis.call('LLEN', input) end
if index ~= '' then redis.call('SCARD', asking) end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local step_ends = got[4] and string.format('%.0f', now + got[4])
local at = 21
local function spread(command, key, count)
  local last = at + count - 1
  for first = at, last, 500 do redis.call(command, key, unpack(ARGV, first, math.min(first + 499, last))) end
  at = last + 1
end
redis.call('HSET', run, 'status', status, 'updated', now)
spread('HSET', line, sets)
spread('HDEL', line, dels)
spread('HSET', run, fields)
for _ = 1, entries do
  redis.call('XADD', log, 'MAXLEN', '~', ARGV[11], '*', 'd', ARGV[at])
  at = at + 1
end
spread('HSET', pending, kept)
if new ~= '' then
  redis.call('HSET', line, 'head', new)
  redis.call('DEL', open, claims, tries, naps)
  redis.call('HSET', run, 'plan', 0, 'x', 0)
  if step_ends then redis.call('HSET', run, 'step_ends', step_ends) end
  if ARGV[9] == 'new' or ARGV[9] == 'both' then redis.call('ZADD', hist, 0, new) end
  if ARGV[9] == 'parent' or ARGV[9] == 'both' then redis.call('ZADD', hist, 0, parent) end
end
if status == 'running' then
  redis.call('ZADD', due, now + ARGV[7], 'r:' .. id)
  return {'ok'}
end
-- at rest: nobody drives it, nothing is owed; the thread goes to who waits in line, but not while a question is open
redis.call('HSET', run, 'lease', '', 'ended', now)
redis.call('ZREM', due, 'r:' .. id)
if redis.call('HGET', line, 'run') == id then
  redis.call('HDEL', line, 'run')
  local heir = status ~= 'interrupted' and redis.call('LPOP', turns)
  if status == 'interrupted' then redis.call('HSET', line, 'asks', id) end
  if heir then
    redis.call('HSET', line, 'run', heir, 'last', heir)
    redis.call('ZADD', due, now + ARGV[7], 'r:' .. heir)
  end
end
if index ~= '' and status == 'interrupted' then redis.call('SADD', asking, index) end
-- a run that is done never runs again
if index == '' and status == 'done' and ARGV[14] ~= '' then redis.call('PEXPIRE', once, ARGV[14]) end
if row ~= '' then
  redis.call('HSET', rows, index, row)
  redis.call('HINCRBY', batch, status, 1)
  redis.call('HINCRBY', batch, 'promoted', -1)
  if status == 'done' and redis.call('HINCRBY', batch, 'k:' .. ARGV[15], 1) >= redis.call('LLEN', input) then
    redis.call('DEL', input)
  end
end
if row ~= '' and ARGV[14] ~= '' then
  redis.call('DEL', run, open, claims, tries, naps, pending, hist)
  if status == 'done' then
    redis.call('DEL', line)
    redis.call('PEXPIRE', once, ARGV[14])
  else
    redis.call('HDEL', line, 'own') -- its line stays: a retry goes on from there, in a slice again
  end
end
return {'ok'}
