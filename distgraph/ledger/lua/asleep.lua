-- The tasks whose time to wake has not come.
--
-- KEYS  naps ZSET
-- -> {task id, ...}
local clock = redis.call('TIME')
return redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000)), '+inf')
