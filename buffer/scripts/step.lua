-- Included by the calls of an audit. Their steps are numbered: each is accepted behind the one
-- before, or again. So all that an audit reads is of one history of the shard: one that was set back
-- in between does not know the step.
-- ARGV of all of them begins with: audit id, step, lease in us

-- The change counter, whether the step is repeated, and how many records the last reading of the
-- journal returned; or nil and what to answer. `read`: how many this step returns, if it reads.
local function begin_step(meta)
  local m = call('HMGET', meta, 'format', 'changes', 'audit')
  if not m[1] then return nil, {err = 'NO_SHARD'} end
  if not m[3] then return nil, {''} end
  local id, _, step, unread = audit_head(m[3])
  local wanted = tonumber(ARGV[2])
  if id ~= ARGV[1] or (step ~= wanted and step + 1 ~= wanted) then return nil, {''} end
  return m[2], step == wanted, unread
end
local function end_step(meta, unread)
  open_for_writing(meta)
  call('HSET', meta, 'audit', ARGV[1] .. ' ' .. micros(redis_time() + ARGV[3]) .. ' ' .. ARGV[2]
    .. ' ' .. unread)
end
