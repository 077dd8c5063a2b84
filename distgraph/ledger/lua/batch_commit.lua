-- Apply one superstep of many items of one slice. Each item is a compare-and-set of its own on its head checkpoint;
-- one that fails it does not hold up the others.
--
-- KEYS  batch HASH   rows HASH (of the chunk)   input LIST (of the chunk)   slices HASH   due ZSET   then, per item:
--       line HASH   (and for 'promote' the item's run HASH right after it)
-- ARGV  batch id, slice id, epoch of the batch, slot, chunk, 'done' to end the slice if no item is refused or '', #items,
--       then per item: kind, index, parent, new head, n, n strings
--         'step'     n strings: record field, record, field, value, ... then '' and fields to delete
--         'end'      n = 1: the row ('d...' done, 'f...' failed)
--         'promote'  as 'step' (new may be the parent: nothing but the run is new), then '' and the run record: the item
--                    goes on as a run of its own, and the caller holds its lease
-- -> {'stale'} (the batch was cancelled) | {answer of item 1, ...}: '1' applied, '0' refused
local batch, rows, input, slices, due = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
if (redis.call('HGET', batch, 'e') or '') ~= ARGV[3] then return {'stale'} end
local at, key = 8, 6
local answers, done, failed, promoted, refused = {}, 0, 0, 0, 0
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- ARGV[first..last] as arguments of command, in parts that fit Lua's stack
local function spread(command, hash, first, last)
  for from = first, last, 500 do redis.call(command, hash, unpack(ARGV, from, math.min(from + 499, last))) end
end

-- the next empty string at or after `from`, looking at every `by`-th
local function gap(from, stop, by)
  while from < stop and ARGV[from] ~= '' do from = from + by end
  return from
end

local function advance(line, new, first, stop)
  redis.call('HSET', line, 'head', new)
  spread('HSET', line, first, gap(first, stop, 2) - 1)
end

local function promote(line, run, index, new, first, stop)
  advance(line, new, first, stop)
  local drops = gap(first, stop, 2) + 1
  local record = gap(drops, stop, 1)
  spread('HDEL', line, drops, record - 1)
  local id = ARGV[1] .. ':' .. index
  redis.call('HSET', line, 'run', id, 'own', 1)
  redis.call('HSET', run, 'epoch', redis.call('HINCRBY', line, 'e', 1), 'status', 'running', 'plan', 0,
    'lease', ARGV[4], 'created', now, 'hinted', now)
  spread('HSET', run, record + 1, stop - 1)
  redis.call('ZADD', due, now + 1000, 'r:' .. id)
  promoted = promoted + 1
end

local function finish(line, index, row)
  redis.call('HSET', rows, index, row)
  if string.sub(row, 1, 1) == 'd' then
    done = done + 1
    redis.call('DEL', line)
  else
    failed = failed + 1 -- its line stays: a retry goes on from there
  end
end

local function apply(kind, line, run, index, parent, new, first, stop)
  local got = redis.call('HMGET', line, 'head', 'own')
  local head = got[1] or ''
  if kind == 'end' then
    local row = redis.call('HGET', rows, index)
    if row then return row == ARGV[first] end
  elseif kind == 'promote' then
    if redis.call('EXISTS', run) == 1 then return true end
  elseif head == new then
    return true
  end
  -- a driver taken for dead must not move an item that goes on as a run of its own, nor one that has its row
  if head ~= parent or got[2] or redis.call('HEXISTS', rows, index) == 1 then return false end
  if kind ~= 'end' and new < head then return false end
  if kind == 'end' then
    finish(line, index, ARGV[first])
  elseif kind == 'promote' then
    promote(line, run, index, new, first, stop)
  else
    advance(line, new, first, stop)
    spread('HDEL', line, gap(first, stop, 2) + 1, stop - 1)
  end
  return true
end

for item = 1, tonumber(ARGV[7]) do
  local kind, index, parent, new, n = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], tonumber(ARGV[at + 4])
  local first = at + 5
  at = first + n
  local line, run = KEYS[key], nil
  key = key + 1
  if kind == 'promote' then
    run = KEYS[key]
    key = key + 1
  end
  local applied = apply(kind, line, run, index, parent, new, first, at)
  if not applied then refused = refused + 1 end
  answers[item] = applied and '1' or '0'
end
if done > 0 then
  redis.call('HINCRBY', batch, 'done', done)
  if redis.call('HINCRBY', batch, 'k:' .. ARGV[5], done) >= redis.call('LLEN', input) then redis.call('DEL', input) end
end
if failed > 0 then redis.call('HINCRBY', batch, 'failed', failed) end
if promoted > 0 then redis.call('HINCRBY', batch, 'promoted', promoted) end
if ARGV[6] == 'done' and refused == 0 then
  redis.call('HDEL', slices, ARGV[2])
  redis.call('ZREM', due, 's:' .. ARGV[1] .. '\n' .. ARGV[2])
end
return answers
