-- Take a dead slot's rights away: the lease of a run, and its claims on the run's tasks. Frees only what that slot holds,
-- so a repeat changes nothing.
--
-- KEYS  run HASH   due ZSET   claims HASH   tries HASH
-- ARGV  run id, slot, '1' to count a crash of what it held, task id the crash is counted for ('' = whatever it held),
--       why it died
-- -> {number of rights taken, crashes so far: of the task named, else the most of what was taken, else of the run}
local run, due, claims, tries = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local slot, count, task = ARGV[2], ARGV[3] == '1', ARGV[4]
local got = redis.call('HMGET', run, 'lease', 'status', 'x')
local held = redis.call('HGETALL', claims)
redis.call('HLEN', tries)
redis.call('ZCARD', due)
-- a delete first (of nothing): a full server lets a script go on that has begun with one, and the dead must not keep what
-- they hold
redis.call('HDEL', claims, '')
local freed, crashes = 0, 0
if got[1] == slot then
  redis.call('HSET', run, 'lease', '')
  if count and task == '' then
    crashes = redis.call('HINCRBY', run, 'x', 1)
    if ARGV[5] ~= '' then redis.call('HSET', run, 'why', ARGV[5]) end
  end
  freed = 1
end
for at = 1, #held, 2 do
  if held[at + 1] == slot then
    redis.call('HDEL', claims, held[at])
    if count and (task == '' or task == held[at]) then
      crashes = math.max(crashes, redis.call('HINCRBY', tries, 'x:' .. held[at], 1))
      if ARGV[5] ~= '' then redis.call('HSET', tries, 'w:' .. held[at], ARGV[5]) end
    end
    freed = freed + 1
  end
end
if task ~= '' then
  crashes = tonumber(redis.call('HGET', tries, 'x:' .. task) or 0)
elseif crashes == 0 then
  crashes = tonumber(got[3] or 0)
end
if freed > 0 and (got[2] == 'queued' or got[2] == 'running') then
  local clock = redis.call('TIME')
  redis.call('ZADD', due, clock[1] * 1000 + math.floor(clock[2] / 1000), 'r:' .. ARGV[1])
end
return {freed, crashes}
