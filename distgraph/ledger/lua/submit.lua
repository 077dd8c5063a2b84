-- Put a run on the ledger: its record, its thread's claim on it, its due entry. Where another run has the thread, or waits
-- for an answer on it, the policy says what happens: 'reject' refuses (a question is passed over), 'enqueue' waits in
-- line, 'interrupt' ends that run and goes on from where it stood, 'rollback' ends it and goes back to before it.
--
-- KEYS  run HASH   line HASH   due ZSET   runs ZSET   turns LIST
--       directory STRING of a run on the thread of its own id | run HASH again
--       and to end another run: its run HASH   open HASH   claims HASH   tries HASH   log STREAM   hist ZSET   pending HASH
--       naps ZSET
-- ARGV  run id, digest of what was asked, ms until the entry is due, policy, id of the run to end ('' = none), its log
--       entry, log length, the head that the caller saw ('' = any), then field, value, ... of the run record
-- -> {'new', epoch}   a repeat is answered 'same'
--  | {'waits', epoch, run id}   in line, behind that run; a repeat is answered 'same'
--  | {'same', epoch} | {'conflict'} (the id is taken by another run)
--  | {'busy', run id}   that run has the thread, and is not the one to end
--  | {'moved', checkpoint id}   the thread stands there, and not where the caller saw it
--  | {'lost', checkpoint id}   there is no going back: where the other run began is not kept any more
local run, line, due, runs, turns, directory = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local id, digest, policy = ARGV[1], ARGV[2], ARGV[4]
local known = redis.call('HMGET', run, 'digest', 'epoch')
if known[2] then
  if known[1] == digest then return {'same', known[2]} end
  return {'conflict'}
end
-- somebody tied the id to another thread while nothing was here yet
if redis.call('EXISTS', directory) == 1 then return {'conflict'} end
local got = redis.call('HMGET', line, 'run', 'asks', 'own', 'head')
local active, asks, head = got[1] ~= id and got[1], got[2] ~= id and got[2], got[4] or ''
if ARGV[8] ~= '' and ARGV[8] ~= head then return {'moved', head} end
local waiting = redis.call('LINDEX', turns, 0)
local before = active or asks or waiting
-- an item of a batch shares its thread with nobody
if before and got[3] then return {'busy', before} end
if policy == 'reject' and (active or waiting) then return {'busy', before} end
local ends = policy ~= 'reject' and policy ~= 'enqueue' and (active or asks)
if ends and ends ~= ARGV[5] then return {'busy', ends} end
local back, since
if ends and policy == 'rollback' then
  back, since = string.match(redis.call('HGET', KEYS[7], 'base') or '', '^(%S*) (%S*)$')
  if back and back ~= '' and redis.call('HEXISTS', line, 'c:' .. back) == 0 then return {'lost', back} end
end
redis.call('ZCARD', due)
redis.call('ZCARD', runs)
if back then redis.call('ZCARD', KEYS[12]) redis.call('HLEN', KEYS[13]) end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- The other run is cancelled: whatever its drivers and tasks still send is refused.
local function stop(old, open, claims, tries, log, naps)
  redis.call('HSET', old, 'epoch', redis.call('HINCRBY', line, 'e', 1), 'status', 'cancelled', 'lease', '', 'plan', 0,
    'x', 0, 'updated', now, 'ended', now, 'by', id)
  redis.call('HDEL', old, 'wake')
  redis.call('ZREM', due, 'r:' .. ends)
  for _, field in ipairs(redis.call('HKEYS', old)) do
    if string.sub(field, 1, 2) == 'p:' then
      redis.call('HDEL', old, field)
      redis.call('ZREM', due, 't:' .. ends .. '\n' .. string.sub(field, 3))
    end
  end
  redis.call('DEL', open, claims, tries, naps)
  if ARGV[6] ~= '' then redis.call('XADD', log, 'MAXLEN', '~', ARGV[7], '*', 'd', ARGV[6]) end
end

-- What it wrote on the thread goes: its checkpoints, their values, the writes kept with them.
local function forget(hist, pending)
  local from = back == '' and '-' or '(' .. back
  local gone = {}
  for _, name in ipairs(redis.call('ZRANGEBYLEX', hist, from, '+')) do gone[name] = true end
  if head > back then gone[head] = true end
  redis.call('ZREMRANGEBYLEX', hist, from, '+')
  for _, field in ipairs(redis.call('HKEYS', line)) do
    local kind, rest = string.sub(field, 1, 2), string.sub(field, 3)
    if kind == 'c:' and gone[rest] or kind == 'v:' and string.match(rest, '@([^@]*)$') > since then
      redis.call('HDEL', line, field)
    end
  end
  for name in pairs(gone) do
    for n = 1, redis.call('HGET', pending, name) or 0 do
      local kept = redis.call('HGET', pending, name .. '|' .. n) or ''
      redis.call('HDEL', pending, name .. '|' .. n, name .. '|' .. string.match(kept, '^[^|]*|?[^|]*'))
    end
    redis.call('HDEL', pending, name)
  end
  if back == '' then redis.call('HDEL', line, 'head') else redis.call('HSET', line, 'head', back) end
end

local waits = policy == 'enqueue' and before
if ends then
  stop(KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[14])
  if back then forget(KEYS[12], KEYS[13]) end
end
local epoch = redis.call('HINCRBY', line, 'e', 1)
redis.call('HSET', run, 'digest', digest, 'epoch', epoch, 'status', 'queued', 'plan', 0, 'lease', '',
  'created', now, 'hinted', now, unpack(ARGV, 9))
redis.call('ZADD', runs, now, id)
if waits then
  redis.call('RPUSH', turns, id)
  return {'waits', tostring(epoch), before}
end
redis.call('HSET', line, 'run', id, 'last', id)
redis.call('HDEL', line, 'asks')
redis.call('ZADD', due, now + ARGV[3], 'r:' .. id)
return {'new', tostring(epoch)}
