-- Second step of taking a shard, once its live parts have been read: counts what the log has lost
-- and what a rollback has brought back, each once.
-- KEYS: meta
-- ARGV: epoch, offset wanted, offset where reading starts, parts resurrected, all below this offset
--       are counted now (-1: none)
-- include: common.lua
local meta = KEYS[1]
local m = call('HMGET', meta, 'ingest', 'gap_end', 'unreplayable', 'resurrected', 'resurrected_end')
if not m[1] then return {err = 'NO_SHARD'} end
if m[1] ~= ARGV[1] then return {err = 'FENCED ' .. m[1]} end
local gap_end = tonumber(m[2] or 0)
local from, start = math.max(tonumber(ARGV[2]), gap_end), tonumber(ARGV[3])
open_for_writing(meta)
call('HSET', meta, 'gap_end', math.max(gap_end, start),
  'unreplayable', (m[3] or 0) + math.max(start - from, 0),
  'resurrected', (m[4] or 0) + ARGV[4],
  'resurrected_end', math.max(tonumber(m[5] or 0), tonumber(ARGV[5])))
return 1
