-- Becomes the ingest owner of a shard: the only script that creates `meta`.
-- KEYS: meta, due, refs, inflight, attempts, dictionaries
-- ARGV: format, proposed epoch number, owner, cluster id, topic, topic id (empty: not known),
--       committed offset (-1: none), start of the log, end of the log, W was at least (-1: not
--       known) and at most this, 1 if an answer showed an earlier state
-- Returns: epoch number, incarnation, offset wanted ('' = the least of the live parts and W), W,
--          clock, Redis TIME, 1 if the log is new, 1 if `meta` was created, parts below this offset
--          are counted as resurrected, the last dictionary stored or '', {dictionary …}, offsets
--          counted as replayed, revision of the drop rules and their text
-- include: common.lua
local meta = KEYS[1]
local counters = {'messages', 'accepted', 'rejected', 'filtered', 'deduplicated', 'acknowledged',
  'dropped', 'orphan', 'quarantined', 'resurrected', 'unreplayable', 'dead_lettered', 'released',
  'stale_acknowledges', 'carried', 'skipped', 'gap_end', 'resurrected_end', 'replayed'}
local wrong = wrong_type(meta, 'hash') or wrong_type(KEYS[2], 'zset') or wrong_type(KEYS[3], 'hash')
  or wrong_type(KEYS[4], 'zset') or wrong_type(KEYS[5], 'hash') or wrong_type(KEYS[6], 'hash')
if wrong then return wrong end

local m = call('HMGET', meta, 'format', 'ingest', 'incarnation', 'watermark', 'clock', 'cluster',
  'topic', 'topic_id', 'resurrected_end', 'dictionary', 'drop_revision', 'drop_rules')
local exists = call('EXISTS', meta) == 1
if exists and m[1] ~= ARGV[1] then
  return {err = 'FORMAT ' .. meta .. ' has format ' .. (m[1] or 'none') .. ', this program has '
    .. ARGV[1]}
end

local committed, log_start, log_end = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local has_commit = committed >= 0 and committed <= log_end
local number, incarnation = tonumber(ARGV[2]), 1
local watermark, clock = 0, '-1'
local is_new_log = false
if exists then
  number = math.max(number, tonumber(string.match(m[2], '^%d+')))
  incarnation, watermark, clock = tonumber(m[3]), tonumber(m[4]), m[5]
  is_new_log = log_end < watermark or (committed >= 0 and not has_commit)
  for i = 4, 6 do
    local stored = m[i + 2]
    if stored and stored ~= '' and ARGV[i] ~= '' and stored ~= ARGV[i] then is_new_log = true end
  end
end

-- What Redis has forgotten is read again, and what had left of it leaves again.
local has_forgotten = ARGV[12] == '1' or tonumber(ARGV[10]) > watermark
  or (has_commit and (not exists or watermark < committed))
local replayed = 0
if has_forgotten and not is_new_log then
  replayed = math.max(ARGV[11] - (has_commit and committed or log_start), 0)
end

local wanted = has_commit and committed or log_start
open_for_writing(meta)
if is_new_log then
  local c = call('HMGET', meta, 'carried', 'accepted', 'acknowledged', 'deduplicated', 'dropped',
    'dead_lettered', 'quarantined')
  local live = (c[1] or 0) + (c[2] or 0)
  for i = 3, 7 do live = live - (c[i] or 0) end
  -- Rules say offsets of the old log. The revision goes on: a late call must not meet it again.
  call('HDEL', meta, 'cluster', 'topic', 'topic_id', 'drop_rules', unpack(counters))
  m[12] = nil
  call('HSET', meta, 'carried', live)
  incarnation = incarnation + 1
end
if not exists or is_new_log then
  watermark = wanted
  m[9] = nil
elseif has_commit then
  if watermark < committed then
    call('HINCRBY', meta, 'skipped', committed - watermark)
    watermark = committed
  end
else
  wanted = ''
end
watermark = math.max(watermark, log_start)
if replayed > 0 then call('HINCRBY', meta, 'replayed', micros(replayed)) end
number = number + 1

for i, field in ipairs({'cluster', 'topic', 'topic_id'}) do
  if ARGV[i + 3] ~= '' then call('HSET', meta, field, ARGV[i + 3]) end
end
if not exists then call('HSET', meta, 'claimed', 0, 'changes', 0, 'marks', '', 'flush', '0:0') end
call('HSET', meta, 'format', ARGV[1], 'ingest', micros(number) .. ':' .. ARGV[3], 'incarnation',
  incarnation, 'watermark', watermark, 'clock', clock)
return {micros(number), incarnation, wanted, watermark, clock, micros(redis_time()),
  is_new_log and 1 or 0, exists and 0 or 1, m[9] or 0, m[10] or '', call('HKEYS', KEYS[6]), replayed,
  m[11] or 0, m[12] or ''}
