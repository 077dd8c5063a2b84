-- Take a dead slot's rights away: the lease of a run, and its claims on the run's tasks. Frees only what that slot holds,
-- so a repeat changes nothing.
--
-- KEYS  run HASH   due ZSET   claims HASH
-- ARGV  run id, slot, '1' to count a crash of what it held, task id the crash is counted for ('' = whatever it held)
-- -> {number of rights taken, crashes counted for the run or task}
local run, due, claims = KEYS[1], KEYS[2], KEYS[3]
local slot, count = ARGV[2], ARGV[3] == '1'
local freed, crashes = 0, 0
if redis.call('HGET', run, 'lease') == slot then
  redis.call('HSET', run, 'lease', '')
  if count and ARGV[4] == '' then crashes = redis.call('HINCRBY', run, 'x', 1) end
  freed = 1
end
local held = redis.call('HGETALL', claims)
for at = 1, #held, 2 do
  if held[at + 1] == slot then
    redis.call('HDEL', claims, held[at])
    if count and (ARGV[4] == '' or ARGV[4] == held[at]) then
      crashes = redis.call('HINCRBY', run, 'x:' .. held[at], 1)
    end
    freed = freed + 1
  end
end
if freed > 0 then
  local clock = redis.call('TIME')
  redis.call('ZADD', due, clock[1] * 1000 + math.floor(clock[2] / 1000), 'r:' .. ARGV[1])
end
return {freed, crashes}
