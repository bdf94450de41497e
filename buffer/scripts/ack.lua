-- Ends a claim whose parts have been delivered: deletes them. Accepted from anyone who names the
-- claim, its lease end, its parts and their references; everything else is counted as stale.
-- KEYS: meta, refs, inflight, attempts, claim, journal, then per part its key and its references' keys
-- ARGV: claim id, lease end, acknowledged, dead lettered and quarantined spans; then, if any part
--       has references, per part the number of them
-- Returns: 1 if the claim was known, Redis TIME
-- include: common.lua
-- include: journal.lua
local meta, refs, inflight, attempts, claim, journal = unpack(KEYS, 1, 6)
local m = call('HMGET', meta, 'format', 'claimed', 'changes', 'acknowledged', 'dead_lettered',
  'quarantined', 'stale_acknowledges', 'audit')
if not m[1] then return {err = 'NO_SHARD'} end
local wrong = wrong_type(refs, 'hash') or wrong_type(inflight, 'zset')
  or wrong_type(attempts, 'hash') or wrong_type(claim, 'list')
  or m[8] and wrong_type(journal, 'list')
if wrong then return wrong end
local now = micros(redis_time())
local held = call('LRANGE', claim, 0, -1)

local names, declared = {}, {}
-- Usually the parts come as the claim has them: then no name has to be cut out of its key.
local function are_as_held()
  local prefix = part_prefix(meta)
  if #ARGV > 5 or #held ~= 2 + #KEYS - 6 then return false end
  for i = 1, #KEYS - 6 do
    names[i] = held[i + 2]
    if KEYS[6 + i] ~= prefix .. names[i] then return false end
  end
  return true
end
local function read_names()
  local k, name_at = 7, #meta + 1
  names = {}
  while k <= #KEYS do
    local i, references = #names + 1, {}
    names[i] = string.sub(KEYS[k], name_at)
    for j = k + 1, k + (ARGV[i + 5] or 0) do
      references[#references + 1] = string.sub(KEYS[j], name_at)
    end
    declared[i] = table.concat(references, ' ')
    k = k + 1 + #references
  end
end
local function are_the_same_parts()
  read_names()
  if #held ~= 2 + #names then return false end
  local open = {}
  for j = 3, #held do open[held[j]] = true end
  for i = 1, #names do
    if not open[names[i]] then return false end
    open[names[i]] = nil
  end
  return true
end

local function is_known()
  if not held[1] or string.match(held[1], '%d+$') ~= ARGV[2] then return false end
  if not are_as_held() and not are_the_same_parts() then return false end
  local stored = hash_values(refs, names)
  for i = 1, #names do
    if (declared[i] or '') ~= (stored[i] or '') then return false end
  end
  return true
end
if not is_known() then
  open_for_writing(meta)
  call('HSET', meta, 'stale_acknowledges', (m[7] or 0) + 1)
  return {0, now}
end

call('ZREM', inflight, ARGV[1] .. ' ' .. held[1])
call('UNLINK', claim)
for i = 7, #KEYS, 1000 do call('UNLINK', unpack(KEYS, i, math.min(i + 999, #KEYS))) end
if call('HLEN', refs) > 0 then in_pages('HDEL', refs, names) end
if call('HLEN', attempts) > 0 then in_pages('HDEL', attempts, names) end
if m[8] then tell_audit(meta, journal, m[8], m[3] + 1, records_of('G', names)) end
call('HSET', meta, 'claimed', m[2] - #names, 'changes', m[3] + 1,
  'acknowledged', (m[4] or 0) + ARGV[3], 'dead_lettered', (m[5] or 0) + ARGV[4],
  'quarantined', (m[6] or 0) + ARGV[5])
return {1, now}
