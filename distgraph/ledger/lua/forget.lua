-- Drop an entry of the due index, unless what it stands for is owed a look again: it may have been queued, retried or
-- filled since the caller looked, and this entry is then all that keeps it from being lost.
--
-- KEYS  due ZSET   and what is asked: run HASH ('r:' and 't:' entries) | slices HASH ('s:') | ready LIST ('b:')
-- ARGV  entry, field asked for ('t:' the path of the waiting task, 's:' the slice, else '')
-- -> {'ok'} | {'owed'}
local due, about = KEYS[1], KEYS[2]
local kind = string.sub(ARGV[1], 1, 1)
local owed
if kind == 'b' then
  owed = redis.call('EXISTS', about) == 1
elseif kind == 's' then
  owed = redis.call('HEXISTS', about, ARGV[2]) == 1
else
  local got = redis.call('HMGET', about, 'status', ARGV[2])
  owed = got[1] == 'running' and (kind == 'r' or got[2]) or kind == 'r' and got[1] == 'queued'
end
if owed then return {'owed'} end
redis.call('ZREM', due, ARGV[1])
return {'ok'}
