-- Apply one superstep of many items of one slice. Each item is a compare-and-set of its own on its head checkpoint;
-- one that fails it does not hold up the others.
--
-- KEYS  batch HASH   rows HASH (of the chunk)   input LIST (of the chunk)   slices HASH   due ZSET   then, per item:
--       line HASH   (and for 'promote' the item's run HASH right after it)
-- ARGV  batch id, slice id, epoch of the batch, slot, chunk, '' or to end the slice: index of the chunk's first item,
--       #items, then per item: kind, index, parent, new head, n, n strings
--         'step'     n strings: record field, record, field, value, ... then '' and fields to delete
--         'end'      n = 1: the row ('d...' done, 'f...' failed)
--         'promote'  as 'step' (new may be the parent: nothing but the run is new), then '' and the run record: the item
--                    goes on as a run of its own, and the caller holds its lease
--         'own'      n = 0: nothing is written; refused unless the item went on as a run of its own, or has its row
-- -> {'stale'} (the batch was cancelled) | {answer of item 1, ...}: '1' applied, '0' refused; and where the slice is to
--    end: '1' it has ended, '0' not, for an item was refused, or one of the slice neither has its row nor is promoted here
--    or named as 'own': a server that was rolled back has forgotten what its driver takes for done
local batch, rows, input, slices, due = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
if (redis.call('HGET', batch, 'e') or '') ~= ARGV[3] then return {'stale'} end

-- What becomes of one item: '1' and nothing to do (a repeat), '0' refused, or 'go'.
local function judge(kind, index, parent, new, row, line, run)
  local got = redis.call('HMGET', line, 'head', 'own')
  local head, kept = got[1] or '', redis.call('HGET', rows, index)
  if kind == 'own' then return (kept or got[2]) and '1' or '0' end
  if kind == 'end' then
    if kept then return kept == row and '1' or '0' end
  elseif kind == 'promote' then
    -- the run of another driver, that found the item elsewhere, is not this one's
    if redis.call('HEXISTS', run, 'epoch') == 1 then return head == new and '1' or '0' end
  elseif head == new then
    return '1'
  end
  -- a driver taken for dead must not move an item that goes on as a run of its own, nor one that has its row
  if kept or got[2] or head ~= parent then return '0' end
  if kind ~= 'end' and new < head then return '0' end
  return 'go'
end

-- All items are judged before the first is written to: a script that fails half-way leaves what it did. An item that
-- comes twice is judged once.
local items, answers, seen, refused, at, key = {}, {}, {}, 0, 8, 6
for number = 1, tonumber(ARGV[7]) do
  local n = tonumber(ARGV[at + 4])
  local item = { kind = ARGV[at], index = ARGV[at + 1], new = ARGV[at + 3], first = at + 5, stop = at + 5 + n, line = KEYS[key] }
  if item.kind == 'promote' then
    key = key + 1
    item.run = KEYS[key]
  end
  answers[number] = seen[item.index] and '0'
    or judge(item.kind, item.index, ARGV[at + 2], item.new, ARGV[item.first], item.line, item.run)
  items[number], seen[item.index] = item, item
  if answers[number] == '0' then refused = refused + 1 end
  at, key = item.stop, key + 1
end
redis.call('LLEN', input)
redis.call('HLEN', slices)
redis.call('ZCARD', due)

local done, failed, promoted = 0, 0, 0
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

local function finish(item)
  local row = ARGV[item.first]
  redis.call('HSET', rows, item.index, row)
  if string.sub(row, 1, 1) == 'd' then
    done = done + 1
    redis.call('DEL', item.line)
  else
    failed = failed + 1 -- its line stays: a retry goes on from there
  end
end

local function advance(item)
  local sets = gap(item.first, item.stop, 2)
  local dels = item.kind == 'promote' and gap(sets + 1, item.stop, 1) or item.stop
  redis.call('HSET', item.line, 'head', item.new)
  spread('HSET', item.line, item.first, sets - 1)
  spread('HDEL', item.line, sets + 1, dels - 1)
  return dels
end

local function promote(item)
  local record = advance(item)
  local id = ARGV[1] .. ':' .. item.index
  redis.call('HSET', item.line, 'run', id, 'own', 1)
  redis.call('HSET', item.run, 'epoch', redis.call('HINCRBY', item.line, 'e', 1), 'status', 'running', 'plan', 0,
    'lease', ARGV[4], 'created', now, 'hinted', now)
  spread('HSET', item.run, record + 1, item.stop - 1)
  redis.call('ZADD', due, now + 1000, 'r:' .. id)
  promoted = promoted + 1
end

local act = { ['end'] = finish, step = advance, promote = promote }
for number, item in ipairs(items) do
  if answers[number] == 'go' then
    act[item.kind](item)
    answers[number] = '1'
  end
end
if done > 0 then
  redis.call('HINCRBY', batch, 'done', done)
  if redis.call('HINCRBY', batch, 'k:' .. ARGV[5], done) >= redis.call('LLEN', input) then redis.call('DEL', input) end
end
if failed > 0 then redis.call('HINCRBY', batch, 'failed', failed) end
if promoted > 0 then redis.call('HINCRBY', batch, 'promoted', promoted) end
if ARGV[6] == '' then return answers end

local function complete()
  local from, to = string.match(redis.call('HGET', slices, ARGV[2]) or '', '|%d+:(%d+):(%d+):')
  for offset = from or 0, (to or 0) - 1 do
    local index = string.format('%d', ARGV[6] + offset)
    local item = seen[index]
    local away = item and (item.kind == 'own' or item.kind == 'promote')
    if not away and redis.call('HEXISTS', rows, index) == 0 then return false end
  end
  return true
end

local ended = refused == 0 and complete()
if ended then
  redis.call('HDEL', slices, ARGV[2])
  redis.call('ZREM', due, 's:' .. ARGV[1] .. '\n' .. ARGV[2])
end
answers[#answers + 1] = ended and '1' or '0'
return answers
