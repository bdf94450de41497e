-- Included by scripts that tell what one look at a shard tells: the change counter ('' if there is
-- no shard), Redis TIME, parts in `due`, of them due now, claims, lowest outstanding or '',
-- {field, value …} of meta.
local function overview(meta, due, inflight)
  local now = micros(redis_time())
  local fields = call('HGETALL', meta)
  if #fields == 0 then return {'', now} end
  local m = call('HMGET', meta, 'changes', 'clock')
  return {m[1] or '', now, call('ZCARD', due), call('ZCOUNT', due, '-inf', highest_due(m[2] or -1)),
    call('ZCARD', inflight), lowest_outstanding(due, inflight) or '', fields}
end
