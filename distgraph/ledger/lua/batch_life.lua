-- The life of a batch as a whole: its items are at rest, or at work again; it is to be deleted. Whoever deletes a batch has
-- it for a while, so that workers do not all do the same; one that was begun is never at work again, and goes on being
-- deleted by whoever comes when that while is over.
--
-- KEYS  manifest HASH   active SET   over ZSET   gone STRING (the tombstone)
-- ARGV  batch id, 'rest' | 'again' | 'expire' (if its time is over) | 'drop' (now), and for the last two: who deletes,
--       ms that he has it, ms the tombstone of an expired batch stays
-- -> {'ok'} | {'gone'} no such batch; for 'rest' and 'again' also: it is being deleted
--  | {'kept'} its time is not over   | {'held'} somebody else deletes it
local manifest, active, over, gone = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, what = ARGV[1], ARGV[2]
local got = redis.call('HMGET', manifest, 'manifest', 'ended', 'retain', 'deleter', 'until')
redis.call('SCARD', active)
redis.call('ZCARD', over)
if not got[1] then
  redis.call('SREM', active, id)
  redis.call('ZREM', over, id)
  return {'gone'}
end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
if what == 'rest' or what == 'again' then
  if got[4] then return {'gone'} end
  if what == 'again' then
    redis.call('SADD', active, id)
    redis.call('HDEL', manifest, 'ended')
    redis.call('ZREM', over, id)
    return {'ok'}
  end
  redis.call('SREM', active, id)
  if not got[2] then redis.call('HSET', manifest, 'ended', now) end
  if got[3] then redis.call('ZADD', over, (got[2] or now) + got[3], id) end
  return {'ok'}
end
if got[4] and got[4] ~= ARGV[3] and now < tonumber(got[5]) then return {'held'} end
local ends = got[2] and got[3] and got[2] + got[3]
if what == 'expire' and not got[4] and (not ends or now < ends) then return {'kept'} end
-- first what a full server does too: it is to get room again
redis.call('SREM', active, id)
redis.call('HSET', manifest, 'deleter', ARGV[3], 'until', now + ARGV[4])
redis.call('ZADD', over, now + ARGV[4], id)
if what == 'expire' and not got[4] then redis.call('SET', gone, string.format('%.0f', ends), 'PX', ARGV[5]) end
return {'ok'}
