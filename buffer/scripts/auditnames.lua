-- A page of the parts in `due`. What is there all the time from the first page to the last is in one.
-- KEYS: meta, due. ARGV: audit id, step, lease in us, cursor (0: the first page), about so many
-- Returns: change counter ('': the audit has ended), next cursor (0: that was all), {part …}
-- include: common.lua
-- include: journal.lua
-- include: step.lua
local meta = KEYS[1]
local changes, is_repeated, unread = begin_step(meta)
if not changes then return is_repeated end
end_step(meta, unread)
local page, names = call('ZSCAN', KEYS[2], ARGV[4], 'COUNT', ARGV[5]), {}
for i = 1, #page[2], 2 do names[#names + 1] = page[2][i] end
return {changes, page[1], names}
