-- Stores a dictionary of a shard, or drops one that no chunk names any more.
-- KEYS: meta, dictionaries, due, inflight
-- ARGV: ingest epoch, id; to store: its content; to drop: empty, expected W, highest deadline that a
--       part with a chunk that names it can have
-- Returns: 1; 0 if such a part may still be there
-- include: common.lua
local meta, dictionaries = KEYS[1], KEYS[2]
local m = call('HMGET', meta, 'ingest', 'watermark')
if not m[1] then return {err = 'NO_SHARD'} end
if m[1] ~= ARGV[1] then return {err = 'FENCED ' .. m[1]} end
local wrong = wrong_type(dictionaries, 'hash') or wrong_type(KEYS[3], 'zset')
  or wrong_type(KEYS[4], 'zset')
if wrong then return wrong end
if ARGV[3] ~= '' then
  call('HSET', dictionaries, ARGV[2], ARGV[3])
  call('HSET', meta, 'dictionary', ARGV[2])
  return 1
end
-- A late copy of this call must not meet what has been written since.
if m[2] ~= ARGV[4] then return {err = 'WATERMARK ' .. m[2]} end
local lowest = lowest_outstanding(KEYS[3], KEYS[4])
if lowest and lowest <= tonumber(ARGV[5]) then return 0 end
call('HDEL', dictionaries, ARGV[2])
return 1
