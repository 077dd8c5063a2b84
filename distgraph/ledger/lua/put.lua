-- Store from outside a run (a saver, update_state): what tasks after a checkpoint wrote, and a checkpoint, which
-- becomes the head of its line if it is above it. Refused while a run holds the line, or the thread's own line where a
-- nested graph's is written from outside; and on a nested graph's line, to an attempt of the task around it that another
-- attempt has taken the line from.
--
-- KEYS  line HASH   pend HASH   hist ZSET   (and of a nested graph's line:) nested SET   log STREAM of the run around it
--       root HASH of the thread's own line
-- ARGV  1 checkpoint id ('' = writes alone)   2 namespace   3 the attempt that stores, or ''   4 #line sets
--       5 name of the call, where it has log entries   6 log length   7 #log entries   8 the checkpoint whose values
--       it shares, or ''   then the log entries, then field, value, ... of the line, then per write: 'first' (the one that is
--       there stands) or 'last' (it is replaced), id of the checkpoint before the task, '<task>|<kind>', path of the task, value
-- -> {'ok'}   a repeat too  | {'busy', run id}   a repeat of writes alone too, if a run came in between
--  | {'held', attempt} it is another attempt's now, or nobody's
--  | {'lost', checkpoint id} whose values it shares is not there any more, nor are they
local line, pend, hist, nested, log, root = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local new = ARGV[1]
local entries = tonumber(ARGV[7])
local got = redis.call('HMGET', line, 'head', 'run', 'e', 'holder', 'told')
if ARGV[3] ~= '' and got[4] ~= ARGV[3] then return {'held', got[4] or ''} end
local holds = got[2]
-- the attempts of a run's own tasks come with their names; whoever has none would change what they go on from
if not holds and root and ARGV[3] == '' then holds = redis.call('HGET', root, 'run') end
if holds then
  if new ~= '' and redis.call('HEXISTS', line, 'c:' .. new) == 1 then return {'ok'} end
  return {'busy', holds}
end
if ARGV[8] ~= '' and redis.call('HEXISTS', line, 'c:' .. ARGV[8]) == 0 then
  if redis.call('HEXISTS', line, 'c:' .. new) == 0 then return {'lost', ARGV[8]} end
end
redis.call('HLEN', pend)
redis.call('ZCARD', hist)
if entries > 0 then redis.call('XLEN', log) end
if nested then redis.call('SADD', nested, ARGV[2]) end
-- events must not come twice: a repeat finds the name of the call
if entries > 0 and got[5] ~= ARGV[5] then
  for at = 9, 8 + entries do redis.call('XADD', log, 'MAXLEN', '~', ARGV[6], '*', 'd', ARGV[at]) end
  redis.call('HSET', line, 'told', ARGV[5])
end
local start = 9 + entries
local stop = start - 1 + 2 * ARGV[4]
for first = start, stop, 500 do redis.call('HSET', line, unpack(ARGV, first, math.min(first + 499, stop))) end
for at = stop + 1, #ARGV, 5 do
  local mode, before, name, path, value = unpack(ARGV, at, at + 4)
  local field = before .. '|' .. name
  local isnew
  if mode == 'first' then
    isnew = redis.call('HSETNX', pend, field, value)
  else
    isnew = redis.call('HSET', pend, field, value)
  end
  -- the names of a checkpoint's writes, numbered: they are read back without a look at those of all others
  if isnew == 1 then
    redis.call('HSET', pend, before .. '|' .. redis.call('HINCRBY', pend, before, 1), name .. '|' .. path)
  end
end
if new == '' then return {'ok'} end
redis.call('ZADD', hist, 0, new)
if not got[1] or new > got[1] then
  redis.call('HSET', line, 'head', new, 'e', (got[3] or 0) + 1)
end
return {'ok'}
