-- One page of the parts in `due`; the first page also names the claims. Read-only. Pages with the
-- same change counter are of one instant.
-- KEYS: meta, due, refs, inflight
-- ARGV: ingest epoch (empty: not compared), rank of the first part, number of parts
-- Returns: change counter, clock, parts in `due`, {part, score, references …}, {claim …}
-- include: common.lua
local m = call('HMGET', KEYS[1], 'ingest', 'changes', 'clock')
if not m[1] then return {err = 'NO_SHARD'} end
if ARGV[1] ~= '' and m[1] ~= ARGV[1] then return {err = 'FENCED ' .. m[1]} end
local page = call('ZRANGE', KEYS[2], ARGV[2], ARGV[2] + ARGV[3] - 1, 'WITHSCORES')
local names = {}
for i = 1, #page, 2 do names[#names + 1] = page[i] end
local refs, parts = hash_values(KEYS[3], names), {}
for i = 1, #names do
  parts[3 * i - 2], parts[3 * i - 1], parts[3 * i] = names[i], page[2 * i], refs[i] or ''
end
local claims = {}
if ARGV[2] == '0' then claims = call('ZRANGE', KEYS[4], 0, -1) end
return {m[2], m[3], call('ZCARD', KEYS[2]), parts, claims}
