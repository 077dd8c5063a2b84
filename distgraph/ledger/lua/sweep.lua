-- What is overdue, each pushed forward so that the next sweep looks elsewhere first. If the reply is lost, its entries
-- come again after the push.
--
-- KEYS  due ZSET | ages ZSET
-- ARGV  at most so many, ms to push forward
-- -> {now in ms, ms until the next entry is due (0: more are overdue, -1: there is none), entry, ...}
local due = KEYS[1]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local found = redis.call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, ARGV[1])
for _, entry in ipairs(found) do redis.call('ZADD', due, now + ARGV[2], entry) end
local next = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')
return {tostring(now), next[2] and tostring(math.max(0, math.floor(next[2] - now))) or '-1', unpack(found)}
