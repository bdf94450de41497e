-- What one look at a shard tells. Read-only.
-- KEYS: meta, due, inflight
-- Returns: see overview.lua
-- include: common.lua
-- include: overview.lua
return overview(unpack(KEYS))
