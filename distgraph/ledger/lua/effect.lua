-- Record the result of an effect, unless somebody was first. The records of a run or batch item that is done, or of a
-- run that is gone, are kept for a time only: for whoever was taken for dead and comes back to do it again. What is
-- recorded as a retry of the run counts in its record, once.
--
-- KEYS  once HASH   run HASH   and of a batch item: batch HASH   rows HASH (of its chunk)
-- ARGV  key, result, ms to keep what is not at work any more, '1' to count a retry of the run else '',
--       index of the batch item
-- -> the result that stands
local once, run, batch, rows = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local status = redis.call('HGET', run, 'status')
local live = status and status ~= 'done'
if not live and batch then
  local row = redis.call('HGET', rows, ARGV[5])
  live = redis.call('EXISTS', batch) == 1 and string.sub(row or '', 1, 1) ~= 'd'
end
if redis.call('HSETNX', once, ARGV[1], ARGV[2]) == 1 and status and ARGV[4] == '1' then
  redis.call('HINCRBY', run, 'retries', 1)
end
local stands = redis.call('HGET', once, ARGV[1])
if live then
  redis.call('PERSIST', once)
elseif redis.call('PTTL', once) == -1 then
  redis.call('PEXPIRE', once, ARGV[3])
end
return stands
