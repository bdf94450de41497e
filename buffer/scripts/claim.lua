-- Claims the named parts under a lease, skipping those no longer due; the same id again returns the
-- same claim. A due part without its list leaves `due` and is counted as orphan.
-- KEYS: meta, due, refs, inflight, attempts, claim, then per part its list and its references' lists
-- ARGV: flush epoch, claim id, lease in ms, bytes of chunk header wanted, then per part the number
--       of its references
-- Returns: lease end ('' if there is no claim), Redis TIME, marks, {what was orphaned …}, then per
--          part {index in the request, deadline, begin of the last chunk, lengths …}
-- include: common.lua
local meta, due, refs, inflight, attempts, claim = unpack(KEYS, 1, 6)
local m = call('HMGET', meta, 'flush', 'clock', 'marks', 'claimed', 'changes', 'orphan')
if not m[1] then return {err = 'NO_SHARD'} end
if m[1] ~= ARGV[1] then return {err = 'FENCED ' .. m[1]} end
local wrong = wrong_type(due, 'zset') or wrong_type(refs, 'hash') or wrong_type(inflight, 'zset')
  or wrong_type(attempts, 'hash') or wrong_type(claim, 'list')
if wrong then return wrong end
local now, clock, name_at = redis_time(), tonumber(m[2]), #meta + 1

local names, first, last, index = {}, {}, {}, {}
local k = 7
for i = 1, #ARGV - 4 do
  names[i], first[i], last[i] = string.sub(KEYS[k], name_at), k, k + tonumber(ARGV[i + 4])
  index[names[i]] = i
  k = last[i] + 1
end

local function length(list)
  local found = pcall_redis('LLEN', list)
  return type(found) == 'number' and found or 0
end
local function describe(i, deadline)
  local tail = call('LINDEX', KEYS[first[i]], -1)
  local out = {i, deadline, tail and string.sub(tail, 1, ARGV[4]) or ''}
  for j = first[i], last[i] do out[#out + 1] = length(KEYS[j]) end
  return out
end

local held = call('LRANGE', claim, 0, -1)
if held[1] then
  local out = {string.match(held[1], '%d+$'), micros(now), m[3], {}}
  for j = 2, #held, 2 do
    local i = index[held[j]]
    if not i then return {err = 'CLAIM ' .. claim .. ' holds other parts than those named'} end
    out[#out + 1] = describe(i, held[j + 1])
  end
  return out
end

local scores = {}
for i = 1, #names, 1000 do
  local page = call('ZMSCORE', due, unpack(names, i, math.min(i + 999, #names)))
  for j = 1, #page do scores[i + j - 1] = page[j] end
end
local known = hash_values(refs, names)
local lease_end = micros(now + ARGV[3] * 1000)
local entries, leaving, orphans, lost_lists = {m[1] .. ' ' .. lease_end}, {}, {}, {}
local out, lowest = {lease_end, micros(now), m[3], orphans}, math.huge
for i = 1, #names do
  local deadline = tonumber(scores[i] or nil)
  local declared = {}
  for j = first[i] + 1, last[i] do declared[#declared + 1] = string.sub(KEYS[j], name_at) end
  if deadline and deadline <= clock and table.concat(declared, ' ') == (known[i] or '') then
    leaving[#leaving + 1] = names[i]
    if length(KEYS[first[i]]) == 0 then
      orphans[#orphans + 1] = names[i]
      for j = first[i] + 1, last[i] do lost_lists[#lost_lists + 1] = KEYS[j] end
    else
      for j = first[i] + 1, last[i] do
        if length(KEYS[j]) == 0 then orphans[#orphans + 1] = string.sub(KEYS[j], name_at) end
      end
      entries[#entries + 1] = names[i]
      entries[#entries + 1] = scores[i]
      out[#out + 1] = describe(i, scores[i])
      lowest = math.min(lowest, deadline)
    end
  end
end
if #leaving == 0 then return {'', micros(now), m[3], orphans} end

in_pages('ZREM', due, leaving)
if #orphans > 0 then
  in_pages('HDEL', attempts, orphans)
  in_pages('HDEL', refs, orphans)
  for i = 1, #lost_lists do call('UNLINK', lost_lists[i]) end
end
local claimed = (#entries - 1) / 2
if claimed > 0 then
  in_pages('RPUSH', claim, entries)
  call('ZADD', inflight, lowest, ARGV[2] .. ' ' .. entries[1])
else
  out[1] = ''
end
call('HSET', meta, 'claimed', m[4] + claimed, 'changes', m[5] + 1,
  'orphan', (m[6] or 0) + #orphans)
return out
