-- The parts of one claim. Read-only.
-- KEYS: meta, refs, claim
-- Returns: change counter, {part, score, references …}
-- include: common.lua
local changes = call('HGET', KEYS[1], 'changes')
if not changes then return {err = 'NO_SHARD'} end
local held = call('LRANGE', KEYS[3], 1, -1)
local names = {}
for i = 1, #held, 2 do names[#names + 1] = held[i] end
local refs, parts = hash_values(KEYS[2], names), {}
for i = 1, #names do
  parts[3 * i - 2], parts[3 * i - 1], parts[3 * i] = names[i], held[2 * i], refs[i] or ''
end
return {changes, parts}
