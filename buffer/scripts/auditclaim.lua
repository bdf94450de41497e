-- The parts of a claim; none if it has ended.
-- KEYS: meta, claim. ARGV: audit id, step, lease in us
-- Returns: change counter ('': the audit has ended), {part …}
-- include: common.lua
-- include: journal.lua
-- include: step.lua
local meta = KEYS[1]
local changes, is_repeated, unread = begin_step(meta)
if not changes then return is_repeated end
end_step(meta, unread)
return {changes, call('LRANGE', KEYS[2], 2, -1)}
