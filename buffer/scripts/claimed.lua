-- The parts of one claim. Read-only.
-- KEYS: meta, refs, claim
-- Returns: change counter, {part, score, references …}
-- include: common.lua
local changes = call('HGET', KEYS[1], 'changes')
if not changes then return {err = 'NO_SHARD'} end
local held, names = call('LRANGE', KEYS[3], 0, -1), {}
for i = 3, #held do names[i - 2] = held[i] end
local scores = held[1] and scores_of_claim(held)
local refs, parts = hash_values(KEYS[2], names), {}
for i = 1, #names do
  parts[3 * i - 2], parts[3 * i - 1], parts[3 * i] = names[i], scores[i], refs[i] or ''
end
return {changes, parts}
