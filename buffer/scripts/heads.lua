-- How the entries of one list begin, for counting spans. Read-only.
-- KEYS: meta, list. ARGV: first entry, last entry, bytes wanted
-- Returns: change counter, length of the list, then one text per entry
-- include: common.lua
local changes = call('HGET', KEYS[1], 'changes')
if not changes then return {err = 'NO_SHARD'} end
local length = pcall_redis('LLEN', KEYS[2])
if type(length) ~= 'number' then return {changes, 0} end
local out = {changes, length}
for _, entry in ipairs(call('LRANGE', KEYS[2], ARGV[1], ARGV[2])) do
  out[#out + 1] = string.sub(entry, 1, ARGV[3])
end
return out
