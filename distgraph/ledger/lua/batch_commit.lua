-- Apply one superstep of many items of one slice. Each item is a compare-and-set of its own on its head checkpoint;
-- one that fails it does not hold up the others.
--
-- KEYS  batch HASH   rows HASH (of the chunk)   input LIST (of the chunk)   slices HASH   due ZSET   then, per item:
--       line HASH   (and for 'promote' the item's run HASH right after it)
-- ARGV  batch id, slice id, epoch of the batch, slot, chunk, 'done' to end the slice or '', #items,
--       then per item: kind, index, parent, new head, n, n strings
--         'step'     n strings: record field, record, field, value, ... then '' and fields to delete
--         'end'      n = 1: the row ('d...' done, 'f...' failed)
--         'promote'  as 'step' (new may be the parent: nothing but the run is new), then '' and the run record: the item
--                    goes on as a run of its own, and the caller holds its lease
-- -> {'stale'} (the batch was cancelled) | {answer of item 1, ...}: '1' applied, '0' refused
local batch, rows, input, slices, due = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
if (redis.call('HGET', batch, 'e') or '') ~= ARGV[3] then return {'stale'} end
local count, at, key = tonumber(ARGV[7]), 8, 6
local answers, done, failed, promoted = {}, 0, 0, 0
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
for item = 1, count do
  local kind, index, parent, new, n = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], tonumber(ARGV[at + 4])
  local first = at + 5
  at = first + n
  local line = KEYS[key]
  key = key + (kind == 'promote' and 2 or 1)
  local head = redis.call('HGET', line, 'head') or ''
  local answer = '0'
  if kind == 'step' and head == new or kind == 'promote' and redis.call('EXISTS', KEYS[key - 1]) == 1 then
    answer = '1'
  elseif head == parent and redis.call('HEXISTS', rows, index) == 0 then
    answer = '1'
    if kind == 'end' then
      local row = ARGV[first]
      redis.call('HSET', rows, index, row)
      if string.sub(row, 1, 1) == 'd' then
        done = done + 1
        if parent ~= '' then redis.call('DEL', line) end
      else
        failed = failed + 1 -- its line stays: a retry goes on from there
      end
    else
      local stop = first
      while stop < at and ARGV[stop] ~= '' do stop = stop + 2 end
      redis.call('HSET', line, 'head', new, unpack(ARGV, first, stop - 1))
      local drop = stop + 1
      local last = at - 1
      if kind == 'promote' then
        last = drop
        while last < at and ARGV[last] ~= '' do last = last + 1 end
        local run = KEYS[key - 1]
        local id = ARGV[1] .. ':' .. index
        redis.call('HSET', line, 'run', id, 'e', 1)
        redis.call('HSET', run, 'epoch', 1, 'status', 'running', 'plan', 0, 'lease', ARGV[4], 'created', now,
          'hinted', now, unpack(ARGV, last + 1, at - 1))
        redis.call('ZADD', due, now + 1000, 'r:' .. id)
        promoted = promoted + 1
        last = last - 1
      end
      if last >= drop then redis.call('HDEL', line, unpack(ARGV, drop, last)) end
    end
  elseif kind == 'end' and redis.call('HGET', rows, index) == ARGV[first] then
    answer = '1'
  end
  answers[item] = answer
end
if done > 0 then
  redis.call('HINCRBY', batch, 'done', done)
  if redis.call('HINCRBY', batch, 'k:' .. ARGV[5], done) >= redis.call('LLEN', input) then redis.call('DEL', input) end
end
if failed > 0 then redis.call('HINCRBY', batch, 'failed', failed) end
if promoted > 0 then redis.call('HINCRBY', batch, 'promoted', promoted) end
if ARGV[6] == 'done' then
  redis.call('HDEL', slices, ARGV[2])
  redis.call('ZREM', due, 's:' .. ARGV[1] .. '\n' .. ARGV[2])
end
return answers
