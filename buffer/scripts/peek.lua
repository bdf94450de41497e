-- What may be claimed, and every claim of the shard. Read-only.
-- KEYS: meta, due, refs, inflight, attempts
-- ARGV: flush epoch, most parts
-- Returns: clock, Redis TIME, due now, next deadline above the clock or '', lowest outstanding or
--          '', marks, {part, deadline, references, attempts …}, {claim …}
-- include: common.lua
local due = KEYS[2]
local m = call('HMGET', KEYS[1], 'flush', 'clock', 'marks')
if not m[1] then return {err = 'NO_SHARD'} end
if m[1] ~= ARGV[1] then return {err = 'FENCED ' .. m[1]} end
local wrong = wrong_type(due, 'zset') or wrong_type(KEYS[3], 'hash')
  or wrong_type(KEYS[4], 'zset') or wrong_type(KEYS[5], 'hash')
if wrong then return wrong end
local page = call('ZRANGEBYSCORE', due, '-inf', m[2], 'WITHSCORES', 'LIMIT', 0, ARGV[2])
local names = {}
for i = 1, #page, 2 do names[#names + 1] = page[i] end
local refs, attempts = hash_values(KEYS[3], names), hash_values(KEYS[5], names)
local parts = {}
for i = 1, #names do
  local at = 4 * i
  parts[at - 3], parts[at - 2], parts[at - 1] = names[i], page[2 * i], refs[i] or ''
  parts[at] = attempts[i] or '0'
end
local after = call('ZRANGEBYSCORE', due, '(' .. m[2], '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
return {m[2], micros(redis_time()), call('ZCOUNT', due, '-inf', m[2]), after[2] or '',
  lowest_outstanding(due, KEYS[4]) or '', m[3], parts, call('ZRANGE', KEYS[4], 0, -1)}
