-- Appends one batch of a shard: refused whole, or applied whole.
-- KEYS: meta, due, refs, inflight, then one list per part: first of the plain parts (those with a
--       score and a chunk and without references) whose list is believed not to exist yet, then of
--       the other plain parts, then of the rest
-- ARGV: epoch, expected W, expected clock, new W, new clock, messages, accepted, deduplicated,
--       rejected, filtered, resurrected, 1 if any part has a chunk or references, number of plain
--       parts, number of those with a new list;
--       then score and name of each plain part; then the chunk of each plain part;
--       then per part of the rest: name, score (empty: absorbed, leaves `due`), chunk (may be
--       empty), number of references and for each of them its name and its list entry
-- Returns: W, clock, lowest deadline outstanding or '', backlog, Redis TIME, marks
-- include: common.lua
-- include: marks.lua
local meta, due, refs, inflight = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local m = call('HMGET', meta, 'ingest', 'watermark', 'clock', 'claimed', 'changes', 'marks',
  'messages', 'accepted', 'deduplicated', 'rejected', 'filtered', 'resurrected')
if not m[1] then return {err = 'NO_SHARD'} end
if m[1] ~= ARGV[1] then return {err = 'FENCED ' .. m[1]} end
if m[2] ~= ARGV[2] then return {err = 'WATERMARK ' .. m[2]} end
if m[3] ~= ARGV[3] then return {err = 'CLOCK ' .. m[3]} end
local wrong = wrong_type(due, 'zset') or wrong_type(refs, 'hash') or wrong_type(inflight, 'zset')
if wrong then return wrong end
local plain, last_new = tonumber(ARGV[13]), 4 + ARGV[14]
local unchecked, existing = last_new + 1, 0
for i = 5, last_new, 1000 do
  existing = existing + call('EXISTS', unpack(KEYS, i, math.min(i + 999, last_new)))
end
if existing > 0 then unchecked = 5 end
for i = unchecked, #KEYS do
  if type(pcall_redis('LLEN', KEYS[i])) ~= 'number' then return wrong_type(KEYS[i], 'list') end
end

-- Without payload the batch only moves W, clock and counters: that is never refused for memory.
if ARGV[12] == '0' then open_for_writing(meta) end
local to_chunk = 14 + 2 * plain - 4
for i = 5, 4 + plain do call('RPUSH', KEYS[i], ARGV[to_chunk + i]) end
for i = 15, 14 + 2 * plain, 1000 do
  call('ZADD', due, unpack(ARGV, i, math.min(i + 999, 14 + 2 * plain)))
end
local gone, a = {}, 15 + 3 * plain
for i = 5 + plain, #KEYS do
  local list, name, score, chunk, count = KEYS[i], unpack(ARGV, a, a + 3)
  a = a + 4
  if count ~= '0' then
    local names, entries = {}, {}
    for r = 1, tonumber(count) do
      names[r], entries[r] = ARGV[a], ARGV[a + 1]
      a = a + 2
    end
    in_pages('RPUSH', list, entries)
    local known = call('HGET', refs, name)
    in_pages('HDEL', refs, names)
    if known then table.insert(names, 1, known) end
    call('HSET', refs, name, table.concat(names, ' '))
  end
  if chunk ~= '' then call('RPUSH', list, chunk) end
  if score == '' then gone[#gone + 1] = name else call('ZADD', due, score, name) end
end
in_pages('ZREM', due, gone)

local now, lowest, marks = redis_time(), lowest_outstanding(due, inflight), m[6]
if ARGV[5] ~= ARGV[3] then marks = add_mark(marks, tonumber(ARGV[5]), now, lowest) end
local backlog = call('ZCOUNT', due, '-inf', highest_due(ARGV[5])) + m[4]
call('HSET', meta, 'messages', (m[7] or 0) + ARGV[6], 'accepted', (m[8] or 0) + ARGV[7],
  'deduplicated', (m[9] or 0) + ARGV[8], 'rejected', (m[10] or 0) + ARGV[9],
  'filtered', (m[11] or 0) + ARGV[10], 'resurrected', (m[12] or 0) + ARGV[11],
  'changes', m[5] + 1, 'marks', marks, 'clock', ARGV[5], 'watermark', ARGV[4])
return {ARGV[4], ARGV[5], lowest or '', backlog, micros(now), marks}
