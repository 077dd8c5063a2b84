-- When a thread whose old checkpoints were looked at is to be looked at again, or that it never is. Refused where it has
-- gone on meanwhile, or is to be forgotten while a run has it: what comes is owed a look too.
--
-- KEYS  ages ZSET   line HASH
-- ARGV  thread, its head as it was seen ('' = none), ms of the next look ('' = never)
-- -> {'ok'}   a repeat too   | {'moved'}
local ages, line = KEYS[1], KEYS[2]
local got = redis.call('HMGET', line, 'run', 'head')
if (got[2] or '') ~= ARGV[2] or got[1] and ARGV[3] == '' then return {'moved'} end
if ARGV[3] == '' then redis.call('ZREM', ages, ARGV[1]) else redis.call('ZADD', ages, ARGV[3], ARGV[1]) end
return {'ok'}
