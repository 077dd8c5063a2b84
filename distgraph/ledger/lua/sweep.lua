-- What is overdue, each pushed forward so that the next sweep looks elsewhere first.
--
-- KEYS  due ZSET
-- ARGV  at most so many, ms to push forward
-- -> {now in ms, ms until the next entry is due (-1: none), entry, ...}
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local found = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
for _, entry in ipairs(found) do redis.call('ZADD', KEYS[1], now + ARGV[2], entry) end
local next = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return {tostring(now), next[2] and tostring(math.floor(next[2] - now)) or '-1', unpack(found)}
