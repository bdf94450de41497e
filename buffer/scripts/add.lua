-- Appends one batch of a shard: refused whole, or applied whole.
-- KEYS: meta, due, refs, inflight, dictionaries, journal, then one key per part: first of the plain
--       parts (those with a score and a chunk and without references) whose key is believed not to
--       exist yet, then of the other plain parts, then of the rest. A plain part stands there once
-- ARGV: epoch, expected W, expected clock, new W, new clock, messages, accepted, deduplicated,
--       rejected, filtered, resurrected, 1 if any part has a chunk or references, number of plain
--       parts, number of those with a new key, the dictionary that chunks name (empty: none);
--       then score and name of each plain part; then the chunk of each plain part;
--       then per part of the rest: name, score (empty: absorbed, leaves `due`), chunk (may be
--       empty), number of references and for each of them its name and its entry
-- Returns: W, clock, lowest deadline outstanding or '', backlog, Redis TIME, marks
-- include: common.lua
-- include: marks.lua
-- include: journal.lua
local meta, due, refs, inflight, journal = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[6]
local m = call('HMGET', meta, 'ingest', 'watermark', 'clock', 'claimed', 'changes', 'marks',
  'messages', 'accepted', 'deduplicated', 'rejected', 'filtered', 'resurrected',
  'audit')
if not m[1] then return {err = 'NO_SHARD'} end
if m[1] ~= ARGV[1] then return {err = 'FENCED ' .. m[1]} end
if m[2] ~= ARGV[2] then return {err = 'WATERMARK ' .. m[2]} end
if m[3] ~= ARGV[3] then return {err = 'CLOCK ' .. m[3]} end
local wrong = wrong_type(due, 'zset') or wrong_type(refs, 'hash') or wrong_type(inflight, 'zset')
  or wrong_type(KEYS[5], 'hash') or m[13] and wrong_type(journal, 'list')
if wrong then return wrong end
if ARGV[15] ~= '' and call('HEXISTS', KEYS[5], ARGV[15]) == 0 then
  return {err = 'DICTIONARY ' .. ARGV[15]}
end
local plain, last_new = tonumber(ARGV[13]), 6 + ARGV[14]
local first_old = last_new + 1
if existing(7, last_new) > 0 then first_old = 7 end
local kinds = {}
for i = first_old, #KEYS do
  local key = KEYS[i]
  local kind = call('TYPE', key).ok
  if kind ~= 'none' and kind ~= 'string' and kind ~= 'list' then return wrong_type(key, 'list') end
  kinds[key] = kind
end

-- A script is judged for memory at its first write: one with payload is refused then, one without
-- only moves W, clock and counters and is never refused.
if ARGV[12] == '0' then
  open_for_writing(meta)
else
  call('HSET', meta, 'changes', m[5] + 1)
end

-- For an audit that is under way; nil: there is none.
local records = m[13] and {}
local function record(op, name, entry)
  records[#records + 1] = op .. name .. ' ' .. string.sub(entry, 1, 128)
end

-- The only entry of a key stays a string: that is less memory and less work than a list of one.
local function append(key, entries, name, is_new)
  local kind = kinds[key]
  if records then
    for i = 1, #entries do
      record((kind ~= 'none' or i > 1) and 'A' or is_new and 'N' or 'T', name, entries[i])
    end
  end
  if kind == 'none' and #entries == 1 then
    call('SET', key, entries[1])
    kinds[key] = 'string'
    return
  end
  if kind == 'string' then
    local first = call('GET', key)
    call('UNLINK', key)
    call('RPUSH', key, first)
  end
  in_pages('RPUSH', key, entries)
  kinds[key] = 'list'
end

local to_chunk = 15 + 2 * plain - 6
for i = 7, first_old - 1, 500 do
  local pairs_of_page, at = {}, 0
  for j = i, math.min(i + 499, first_old - 1) do
    pairs_of_page[at + 1], pairs_of_page[at + 2] = KEYS[j], ARGV[to_chunk + j]
    kinds[KEYS[j]] = 'string'
    at = at + 2
  end
  call('MSET', unpack(pairs_of_page))
end
if records then
  for i = 7, first_old - 1 do record('N', ARGV[3 + 2 * i], ARGV[to_chunk + i]) end
end
for i = first_old, 6 + plain do append(KEYS[i], {ARGV[to_chunk + i]}, ARGV[3 + 2 * i]) end
for i = 16, 15 + 2 * plain, 1000 do
  call('ZADD', due, unpack(ARGV, i, math.min(i + 999, 15 + 2 * plain)))
end
local gone, a = {}, 16 + 3 * plain
for i = 7 + plain, #KEYS do
  local name, score, chunk, count = unpack(ARGV, a, a + 3)
  a = a + 4
  if count ~= '0' then
    local names, entries = {}, {}
    for r = 1, tonumber(count) do
      names[r], entries[r] = ARGV[a], ARGV[a + 1]
      a = a + 2
    end
    local known = call('HGET', refs, name)
    append(KEYS[i], entries, name, not known)
    in_pages('HDEL', refs, names)
    if known then table.insert(names, 1, known) end
    local all = table.concat(names, ' ')
    call('HSET', refs, name, all)
    if records then records[#records + 1] = 'R' .. name .. ' ' .. all end
  end
  if chunk ~= '' then append(KEYS[i], {chunk}, name) end
  if score == '' then gone[#gone + 1] = name else call('ZADD', due, score, name) end
  if records then records[#records + 1] = (score == '' and 'X' or 'D') .. name end
end
in_pages('ZREM', due, gone)

local now, lowest, marks = redis_time(), lowest_outstanding(due, inflight), m[6]
if ARGV[5] ~= ARGV[3] then marks = add_mark(marks, tonumber(ARGV[5]), now, lowest) end
local backlog = call('ZCOUNT', due, '-inf', highest_due(ARGV[5])) + m[4]
if records then tell_audit(meta, journal, m[13], m[5] + 1, records) end
call('HSET', meta, 'messages', (m[7] or 0) + ARGV[6], 'accepted', (m[8] or 0) + ARGV[7],
  'deduplicated', (m[9] or 0) + ARGV[8], 'rejected', (m[10] or 0) + ARGV[9],
  'filtered', (m[11] or 0) + ARGV[10], 'resurrected', (m[12] or 0) + ARGV[11],
  'changes', m[5] + 1, 'marks', marks, 'clock', ARGV[5], 'watermark', ARGV[4])
return {ARGV[4], ARGV[5], lowest or '', backlog, micros(now), marks}
