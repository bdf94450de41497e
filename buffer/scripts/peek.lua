-- What may be claimed, and every claim of the shard. Read-only.
-- KEYS: meta, due, refs, inflight, attempts
-- ARGV: flush epoch, most parts
-- Returns: clock, Redis TIME, due now, lowest score above the clock or '', lowest outstanding or
--          '', marks, {part, score …}, {claim …}, and for the parts that have some, each with the
--          part's place from 1: {place, references …}, {place, attempts …}
-- include: common.lua
local due = KEYS[2]
local m = call('HMGET', KEYS[1], 'flush', 'clock', 'marks')
if not m[1] then return {err = 'NO_SHARD'} end
if m[1] ~= ARGV[1] then return {err = 'FENCED ' .. m[1]} end
local wrong = wrong_type(due, 'zset') or wrong_type(KEYS[3], 'hash')
  or wrong_type(KEYS[4], 'zset') or wrong_type(KEYS[5], 'hash')
if wrong then return wrong end
local highest = highest_due(m[2])
local page = call('ZRANGEBYSCORE', due, '-inf', highest, 'WITHSCORES', 'LIMIT', 0, ARGV[2])
local references, attempts = {}, {}
if call('HLEN', KEYS[3]) + call('HLEN', KEYS[5]) > 0 then
  local names = {}
  for i = 1, #page, 2 do names[#names + 1] = page[i] end
  local function collect(key, out)
    local values = hash_values(key, names)
    for i = 1, #names do
      if values[i] then out[#out + 1], out[#out + 2] = i, values[i] end
    end
  end
  collect(KEYS[3], references)
  collect(KEYS[5], attempts)
end
local after = call('ZRANGEBYSCORE', due, highest + 1, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
return {m[2], micros(redis_time()), call('ZCOUNT', due, '-inf', highest), after[2] or '',
  lowest_outstanding(due, KEYS[4]) or '', m[3], page, call('ZRANGE', KEYS[4], 0, -1), references,
  attempts}
