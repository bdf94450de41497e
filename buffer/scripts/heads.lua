-- How the entries of one part begin, for counting spans. Read-only.
-- KEYS: meta, part. ARGV: first entry, last entry, bytes wanted
-- Returns: change counter, number of entries, then one text per entry
-- include: common.lua
local changes = call('HGET', KEYS[1], 'changes')
if not changes then return {err = 'NO_SHARD'} end
local kind = call('TYPE', KEYS[2]).ok
local out = {changes, entry_count(KEYS[2])}
if kind == 'string' then
  if ARGV[1] == '0' then out[3] = call('GETRANGE', KEYS[2], 0, ARGV[3] - 1) end
elseif kind == 'list' then
  for _, entry in ipairs(call('LRANGE', KEYS[2], ARGV[1], ARGV[2])) do
    out[#out + 1] = string.sub(entry, 1, ARGV[3])
  end
end
return out
