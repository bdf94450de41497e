-- Ends an audit, if it is under way.
-- KEYS: meta, journal. ARGV: audit id
-- Returns: 1 if it was
-- include: common.lua
-- include: journal.lua
local audit = call('HGET', KEYS[1], 'audit')
if not audit or audit_head(audit) ~= ARGV[1] then return 0 end
call('UNLINK', KEYS[2])
call('HDEL', KEYS[1], 'audit')
return 1
