-- How the last entry of each part begins. Read-only.
-- KEYS: meta, parts. ARGV: bytes wanted
-- Returns: change counter, then one text per part, empty where there is none
-- include: common.lua
local changes = call('HGET', KEYS[1], 'changes')
if not changes then return {err = 'NO_SHARD'} end
local out = {changes}
for i = 2, #KEYS do
  local kind = call('TYPE', KEYS[i]).ok
  if kind == 'string' then
    out[i] = call('GETRANGE', KEYS[i], 0, ARGV[1] - 1)
  elseif kind == 'list' then
    out[i] = string.sub(call('LINDEX', KEYS[i], -1), 1, ARGV[1])
  else
    out[i] = ''
  end
end
return out
