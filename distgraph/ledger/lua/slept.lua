-- Whether a sleep is over; begins it where that is asked for. Nobody is given back here: who does that finds this time.
-- No sleep of a run that is gone begins.
--
-- KEYS  once HASH   run HASH   and of a batch item: batch HASH (an item in a slice has no record of its own)
-- ARGV  key of the sleep, 'for', 'until' or '' (do not begin it), ms to sleep or ms since the epoch
-- -> 1: it was slept   0: it was not begun, or goes on
local once, field = KEYS[1], 'z:' .. ARGV[1]
local wake = redis.call('HGET', once, field)
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
if not wake and ARGV[2] ~= '' and redis.call('EXISTS', KEYS[2], KEYS[3] or KEYS[2]) > 0 then
  wake = string.format('%.0f', (ARGV[2] == 'for' and now or 0) + ARGV[3])
  redis.call('HSET', once, field, wake)
end
return wake and tonumber(wake) <= now and 1 or 0
