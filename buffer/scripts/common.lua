-- Included by every script.
local call, pcall_redis = redis.call, redis.pcall

-- An error naming key and type if `key` exists and is not a `want`; else nil.
local function wrong_type(key, want)
  local found = call('TYPE', key).ok
  if found ~= want and found ~= 'none' then
    return {err = 'KEYTYPE ' .. key .. ' is of type ' .. found .. ', not ' .. want}
  end
end

-- Redis TIME in microseconds, as a number. As text: micros(now).
local function redis_time()
  local time = call('TIME')
  return time[1] * 1000000 + time[2]
end
local function micros(time)
  return string.format('%.0f', time)
end

-- The key of a part is this and the part's name.
local function part_prefix(meta)
  return string.sub(meta, 1, -2) .. 'p'
end

-- A claim's list: first `<epoch> <lease end>`, then the scores of its parts with spaces between,
-- then their names. The scores as a table:
local function scores_of_claim(held)
  local scores = {}
  for score in string.gmatch(held[2], '%S+') do scores[#scores + 1] = score end
  return scores
end

-- Calls command(key, …) with the elements of `list`, 1000 at a time.
local function in_pages(command, key, list)
  for i = 1, #list, 1000 do
    call(command, key, unpack(list, i, math.min(i + 999, #list)))
  end
end

-- The fields `names` of hash `key`, false where missing, without asking an empty hash.
local function hash_values(key, names)
  local values = {}
  if #names == 0 or call('HLEN', key) == 0 then return values end
  for i = 1, #names, 1000 do
    local page = call('HMGET', key, unpack(names, i, math.min(i + 999, #names)))
    for j = 1, #page do values[i + j - 1] = page[j] end
  end
  return values
end

-- A score in `due` and `inflight` is 64 times a deadline plus the part's size class, which scripts
-- only carry along (buffer/redis/due_score.h).
local function deadline_of(score)
  return math.floor(score / 64)
end
-- The highest score that is due when the clock stands at `clock`.
local function highest_due(clock)
  return clock * 64 + 63
end

-- Lowest deadline due or in flight, as a number, or nil.
local function lowest_outstanding(due, inflight)
  local waiting = tonumber(call('ZRANGE', due, 0, 0, 'WITHSCORES')[2])
  local claimed = tonumber(call('ZRANGE', inflight, 0, 0, 'WITHSCORES')[2])
  if waiting and claimed then waiting = math.min(waiting, claimed) end
  local lowest = waiting or claimed
  return lowest and deadline_of(lowest)
end

-- First write of a script that has to work while Redis refuses writes for memory: a script is
-- judged at its first write, and HDEL is never refused. Changes nothing.
local function open_for_writing(meta)
  call('HDEL', meta, '-')
end

-- A part's entries are a string while there is one, else a list. How many there are; 0 for what is
-- missing or neither.
local function entry_count(key)
  local kind = call('TYPE', key).ok
  if kind == 'list' then return call('LLEN', key) end
  return kind == 'string' and 1 or 0
end

-- How many of KEYS[first] … KEYS[last] exist.
local function existing(first, last)
  local count = 0
  for i = first, last, 1000 do
    count = count + call('EXISTS', unpack(KEYS, i, math.min(i + 999, last)))
  end
  return count
end
