-- How many entries each part has, 0 where there is none. Read-only.
-- KEYS: meta, parts
-- Returns: change counter, then one number per part
-- include: common.lua
local changes = call('HGET', KEYS[1], 'changes')
if not changes then return {err = 'NO_SHARD'} end
local out = {changes}
for i = 2, #KEYS do out[i] = entry_count(KEYS[i]) end
return out
