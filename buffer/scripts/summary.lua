-- What one look at a shard tells. Read-only.
-- KEYS: meta, due, inflight
-- Returns: change counter ('' if there is no shard), Redis TIME, parts in `due`, of them due now,
--          claims, lowest outstanding or '', {field, value …} of meta
-- include: common.lua
local now = micros(redis_time())
local meta = call('HGETALL', KEYS[1])
if #meta == 0 then return {'', now} end
local m = call('HMGET', KEYS[1], 'changes', 'clock')
return {m[1] or '', now, call('ZCARD', KEYS[2]), call('ZCOUNT', KEYS[2], '-inf', highest_due(m[2] or -1)),
  call('ZCARD', KEYS[3]), lowest_outstanding(KEYS[2], KEYS[3]) or '', meta}
