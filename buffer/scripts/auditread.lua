-- Reads on in the journal; what was read the time before is dropped.
-- KEYS: meta, due, inflight, journal. ARGV: audit id, step, lease in us, most records
-- Returns: change counter ('': the audit has ended), {record …}, and if that was all, what is seen at
--          the same instant (as overview.lua)
-- include: common.lua
-- include: journal.lua
-- include: step.lua
-- include: overview.lua
local meta, due, inflight, journal = unpack(KEYS)
local changes, is_repeated, unread = begin_step(meta)
if not changes then return is_repeated end
local wrong = wrong_type(journal, 'list')
if wrong then return wrong end
open_for_writing(meta)
if not is_repeated and unread > 0 then call('LTRIM', journal, unread, -1) end
local records = call('LRANGE', journal, 0, ARGV[4] - 1)
end_step(meta, #records)
if call('LLEN', journal) > #records then return {changes, records} end
return {changes, records, overview(meta, due, inflight)}
