-- Claims the named parts under a lease, skipping those no longer due; the same id again returns the
-- same claim. A due part without its key leaves `due` and is counted as orphan.
-- KEYS: meta, due, refs, inflight, attempts, claim, journal, then per part its key and its references' keys
-- ARGV: flush epoch, claim id, lease in ms, the parts' scores as peeked with spaces between (empty:
--       count the entries); then, if any part has references, per part the number of them
-- Returns: lease end ('' if there is no claim), Redis TIME, marks, {what was orphaned …}, 1 if all is
--          claimed as asked for and nothing was counted; else 0, then flat for each part: index in
--          the request, score, number of entries of its keys
-- include: common.lua
-- include: journal.lua
local meta, due, refs, inflight, attempts, claim, journal = unpack(KEYS, 1, 7)
local m = call('HMGET', meta, 'flush', 'clock', 'marks', 'claimed', 'changes', 'orphan', 'audit')
if not m[1] then return {err = 'NO_SHARD'} end
if m[1] ~= ARGV[1] then return {err = 'FENCED ' .. m[1]} end
local wrong = wrong_type(due, 'zset') or wrong_type(refs, 'hash') or wrong_type(inflight, 'zset')
  or wrong_type(attempts, 'hash') or wrong_type(claim, 'list')
  or m[7] and wrong_type(journal, 'list')
if wrong then return wrong end
local now, highest = redis_time(), highest_due(m[2])
local lease_end = micros(now + ARGV[3] * 1000)
local held = call('LRANGE', claim, 0, -1)
local out = {'', micros(now), m[3], {}, 0}

-- `claimed` are in flight now, `lost` have left `due` without.
local function open_claim(count, lowest, orphans, claimed, lost)
  if count > 0 then
    out[1] = lease_end
    call('ZADD', inflight, lowest, ARGV[2] .. ' ' .. m[1] .. ' ' .. lease_end)
  end
  if m[7] then
    local records = records_of('C', claimed)
    for i = 1, #lost do records[#records + 1] = 'G' .. lost[i] end
    tell_audit(meta, journal, m[7], m[5] + 1, records)
  end
  call('HSET', meta, 'claimed', m[4] + count, 'changes', m[5] + 1, 'orphan', (m[6] or 0) + orphans)
  return out
end

-- Usually what is asked for is the first of what is due, in order, without references, and every
-- key is there. Then nothing is looked up or taken out part by part, and the scores are those of
-- the peek: of a part that can be claimed it does not change. (To write a score as text is dear.)
-- Nil: it is not so, and nothing was changed.
local function claim_the_first()
  local count = #KEYS - 7
  if held[1] or #ARGV > 4 or ARGV[4] == '' or count == 0 then return nil end
  local page = call('ZRANGEBYSCORE', due, '-inf', highest, 'LIMIT', 0, count)
  if #page ~= count then return nil end
  local peeked, ends = ARGV[4], call('ZMSCORE', due, page[1], page[count])
  if string.sub(peeked, 1, #ends[1]) ~= ends[1] or string.sub(peeked, -#ends[2]) ~= ends[2] then
    return nil
  end
  local prefix = part_prefix(meta)
  for i = 1, count do
    if KEYS[7 + i] ~= prefix .. page[i] then return nil end
  end
  if existing(8, #KEYS) ~= count then return nil end
  local known = hash_values(refs, page)
  for i = 1, #known do
    if known[i] then return nil end
  end
  call('ZREMRANGEBYRANK', due, 0, count - 1)
  call('RPUSH', claim, m[1] .. ' ' .. lease_end, peeked)
  in_pages('RPUSH', claim, page)
  out[5] = 1
  return open_claim(count, ends[1], 0, page, {})
end
local claimed = claim_the_first()
if claimed then return claimed end

-- The parts asked for: the key of part i stands at KEYS[first[i]], its references up to KEYS[last[i]].
local sub, name_at = string.sub, #meta + 1
local names, first, last = {}, {}, {}
local k, count, at = 8, 0, 5
while k <= #KEYS do
  count = count + 1
  names[count], first[count], last[count] = sub(KEYS[k], name_at), k, k + (ARGV[count + 4] or 0)
  k = last[count] + 1
end

-- The reply is flat: one table less for every part.
local function describe(i, score, own_length)
  out[at + 1], out[at + 2], out[at + 3] = i, score, own_length
  at = at + 3
  for j = first[i] + 1, last[i] do
    at = at + 1
    out[at] = entry_count(KEYS[j])
  end
end

if held[1] then
  local index = {}
  for i = 1, count do index[names[i]] = i end
  out[1] = string.match(held[1], '%d+$')
  local scores = scores_of_claim(held)
  for j = 3, #held do
    local i = index[held[j]]
    if not i then return {err = 'CLAIM ' .. claim .. ' holds other parts than those named'} end
    describe(i, scores[j - 2], entry_count(KEYS[first[i]]))
  end
  return out
end

local scores, known = {}, hash_values(refs, names)
for i = 1, count, 1000 do
  local page = call('ZMSCORE', due, unpack(names, i, math.min(i + 999, count)))
  for j = 1, #page do scores[i + j - 1] = page[j] end
end
local function declared_references(i)
  if first[i] == last[i] then return '' end
  local references = {}
  for j = first[i] + 1, last[i] do references[#references + 1] = sub(KEYS[j], name_at) end
  return table.concat(references, ' ')
end
local claimed_names, claimed_scores, leaving = {}, {}, {}
local orphans, lost, lost_lists, lowest = out[4], {}, {}, math.huge
for i = 1, count do
  local score = scores[i]
  local lies_at = score and tonumber(score)
  if lies_at and lies_at <= highest and (known[i] or '') == declared_references(i) then
    leaving[#leaving + 1] = names[i]
    local length = entry_count(KEYS[first[i]])
    if length == 0 then
      orphans[#orphans + 1], lost[#lost + 1] = names[i], names[i]
      for j = first[i] + 1, last[i] do lost_lists[#lost_lists + 1] = KEYS[j] end
    else
      claimed_names[#claimed_names + 1] = names[i]
      claimed_scores[#claimed_scores + 1] = score
      local lengths_at = at + 4
      describe(i, score, length)
      for j = lengths_at, at do
        if out[j] == 0 then
          orphans[#orphans + 1] = sub(KEYS[first[i] + 1 + j - lengths_at], name_at)
        end
      end
      if lies_at < lowest then lowest = lies_at end
    end
  end
end
if #leaving == 0 then return out end

in_pages('ZREM', due, leaving)
if #orphans > 0 then
  in_pages('HDEL', attempts, orphans)
  in_pages('HDEL', refs, orphans)
  for i = 1, #lost_lists do call('UNLINK', lost_lists[i]) end
end
if #claimed_names > 0 then
  call('RPUSH', claim, m[1] .. ' ' .. lease_end, table.concat(claimed_scores, ' '))
  in_pages('RPUSH', claim, claimed_names)
end
return open_claim(#claimed_names, lowest, #orphans, claimed_names, lost)
