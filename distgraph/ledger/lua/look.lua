-- A checkpoint's record, and what else belongs to it.
--
-- KEYS  line HASH   pend HASH
-- ARGV  checkpoint id ('' = the head)
-- -> {} (no such checkpoint) | {id, record or nil (the head without its record), #writes of savers, run}
--    run: the thread's latest run, of the head only, else ''
local line = KEYS[1]
local got = redis.call('HMGET', line, 'head', 'run', 'last')
local id = ARGV[1]
if id == '' then id = got[1] or '' end
local record = redis.call('HGET', line, 'c:' .. id)
local run = ''
if id == got[1] then
  run = got[2] or got[3] or ''
elseif not record then
  return {}
end
return {id, record, redis.call('HGET', KEYS[2], id) or '0', run}
