-- Becomes the flush owner of a shard.
-- KEYS: meta. ARGV: format, proposed epoch number, owner
-- Returns: epoch number
-- include: common.lua
local meta = KEYS[1]
local wrong = wrong_type(meta, 'hash')
if wrong then return wrong end
local m = call('HMGET', meta, 'format', 'flush')
if call('EXISTS', meta) == 0 then return {err = 'NO_SHARD'} end
if m[1] ~= ARGV[1] then
  return {err = 'FORMAT ' .. meta .. ' has format ' .. (m[1] or 'none') .. ', this program has '
    .. ARGV[1]}
end
local number = micros(math.max(tonumber(string.match(m[2], '^%d+')), tonumber(ARGV[2])) + 1)
open_for_writing(meta)
call('HSET', meta, 'flush', number .. ':' .. ARGV[3])
return number
