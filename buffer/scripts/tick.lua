-- Reads the figures of a shard and, if asked, moves its event clock to Redis TIME, never back.
-- KEYS: meta, due, inflight
-- ARGV: epoch, expected W, expected clock, 1 to move the clock
-- Returns: as add
-- include: common.lua
-- include: marks.lua
local meta, due, inflight = KEYS[1], KEYS[2], KEYS[3]
local m = call('HMGET', meta, 'ingest', 'watermark', 'clock', 'claimed', 'marks')
if not m[1] then return {err = 'NO_SHARD'} end
if m[1] ~= ARGV[1] then return {err = 'FENCED ' .. m[1]} end
if m[2] ~= ARGV[2] then return {err = 'WATERMARK ' .. m[2]} end
if m[3] ~= ARGV[3] then return {err = 'CLOCK ' .. m[3]} end
local wrong = wrong_type(due, 'zset') or wrong_type(inflight, 'zset')
if wrong then return wrong end
local now, lowest = redis_time(), lowest_outstanding(due, inflight)
local clock, marks = tonumber(m[3]), m[5]
local time_ms = math.floor(now / 1000)
if ARGV[4] == '1' and clock < time_ms then
  clock = time_ms
  marks = add_mark(marks, clock, now, lowest)
  open_for_writing(meta)
  call('HSET', meta, 'marks', marks, 'clock', clock)
end
return {m[2], clock, lowest or '', call('ZCOUNT', due, '-inf', highest_due(clock)) + m[4], micros(now), marks}
