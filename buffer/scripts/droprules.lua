-- Stores which of a shard's messages drop rules leave out, before one is judged by it.
-- KEYS: meta
-- ARGV: ingest epoch, revision (1 above the stored one), the text
-- Returns: 1. The same call again changes nothing
-- include: common.lua
local meta = KEYS[1]
local m = call('HMGET', meta, 'ingest', 'drop_revision')
if not m[1] then return {err = 'NO_SHARD'} end
if m[1] ~= ARGV[1] then return {err = 'FENCED ' .. m[1]} end
local stored = m[2] or '0'
if stored == ARGV[2] then return 1 end
if stored + 1 ~= tonumber(ARGV[2]) then return {err = 'DROP_REVISION ' .. stored} end
open_for_writing(meta)
call('HSET', meta, 'drop_revision', ARGV[2], 'drop_rules', ARGV[3])
return 1
