-- The time to live of an item starts again, if it has one.
--
-- KEYS  item HASH
-- -> {'ok'}
local ms = redis.call('HGET', KEYS[1], 't')
if ms and ms ~= '' then redis.call('PEXPIRE', KEYS[1], ms) end
return {'ok'}
