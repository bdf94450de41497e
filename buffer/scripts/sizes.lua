-- How many entries each list has, 0 where there is none. Read-only.
-- KEYS: meta, lists
-- Returns: change counter, then one number per list
-- include: common.lua
local changes = call('HGET', KEYS[1], 'changes')
if not changes then return {err = 'NO_SHARD'} end
local out = {changes}
for i = 2, #KEYS do out[i] = list_length(KEYS[i]) end
return out
