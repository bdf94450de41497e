-- Begins an audit: from now on changes are written to the journal. One at a time for each shard; the
-- same again begins anew.
-- KEYS: meta, due, refs, inflight, journal. ARGV: audit id, 0, lease in us
-- Returns: change counter ('' if another audit is under way), what is seen at the same instant (as
--          overview.lua), {claim …}
-- include: common.lua
-- include: journal.lua
-- include: step.lua
-- include: overview.lua
local meta, due, refs, inflight, journal = unpack(KEYS)
local m = call('HMGET', meta, 'format', 'changes', 'audit')
if not m[1] then return {err = 'NO_SHARD'} end
local wrong = wrong_type(due, 'zset') or wrong_type(refs, 'hash') or wrong_type(inflight, 'zset')
  or wrong_type(journal, 'list')
if wrong then return wrong end
local seen = overview(meta, due, inflight)
if m[3] then
  local id, lease_end = audit_head(m[3])
  if id and id ~= ARGV[1] and lease_end >= redis_time() then return {'', seen} end
end
open_for_writing(meta)
call('UNLINK', journal)
end_step(meta, 0)
return {m[2], seen, call('ZRANGE', inflight, 0, -1)}
