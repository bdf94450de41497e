-- How the last chunk of each list begins. Read-only.
-- KEYS: meta, lists. ARGV: bytes wanted
-- Returns: change counter, then one text per list, empty where there is no list
-- include: common.lua
local changes = call('HGET', KEYS[1], 'changes')
if not changes then return {err = 'NO_SHARD'} end
local out = {changes}
for i = 2, #KEYS do
  local last = pcall_redis('LINDEX', KEYS[i], -1)
  out[i] = type(last) == 'string' and string.sub(last, 1, ARGV[1]) or ''
end
return out
