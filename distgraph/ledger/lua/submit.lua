-- Put a run on the ledger: its record, its thread's claim on it, its due entry.
--
-- KEYS  run HASH   line HASH   due ZSET   runs ZSET   (and of a run on the thread of its own id:) directory STRING
-- ARGV  run id, digest of what was asked, ms until the entry is due, then field, value, ... of the run record
-- -> {'new', epoch}   a repeat is answered 'same'
--  | {'same', epoch} | {'conflict'} (the id is taken by another run) | {'busy', active run id}
local run, line, due, runs = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, digest = ARGV[1], ARGV[2]
local known = redis.call('HMGET', run, 'digest', 'epoch')
if known[2] then
  if known[1] == digest then return {'same', known[2]} end
  return {'conflict'}
end
-- somebody tied the id to another thread while nothing was here yet
if KEYS[5] and redis.call('EXISTS', KEYS[5]) == 1 then return {'conflict'} end
local active = redis.call('HGET', line, 'run')
if active and active ~= id then return {'busy', active} end
redis.call('ZCARD', due)
redis.call('ZCARD', runs)
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local epoch = redis.call('HINCRBY', line, 'e', 1)
redis.call('HSET', line, 'run', id, 'last', id)
redis.call('HSET', run, 'digest', digest, 'epoch', epoch, 'status', 'queued', 'plan', 0, 'lease', '',
  'created', now, 'hinted', now, unpack(ARGV, 4))
redis.call('ZADD', due, now + ARGV[3], 'r:' .. id)
redis.call('ZADD', runs, now, id)
return {'new', tostring(epoch)}
