-- Included by scripts that move the event clock. The marks of `meta` are pairs (clock in ms, Redis
-- TIME in us when it came there) of little-endian doubles, oldest first; the rules are those of
-- buffer/clock_marks.h.
local mark_bytes, max_mark_bytes = 16, 128 * 16

local function thin_marks(marks, now)
  local function passed(i)
    return (struct.unpack('<d', marks, i * mark_bytes - 7))
  end
  local count = #marks / mark_bytes
  local kept, newer = {count}, passed(count)
  for i = count - 1, 2, -1 do
    if (newer - passed(i - 1)) * 4 >= now - newer then
      kept[#kept + 1] = i
      newer = passed(i)
    end
  end
  kept[#kept + 1] = 1
  while #kept * mark_bytes > max_mark_bytes do table.remove(kept, #kept - 1) end
  local out = {}
  for i = #kept, 1, -1 do
    out[#out + 1] = string.sub(marks, (kept[i] - 1) * mark_bytes + 1, kept[i] * mark_bytes)
  end
  return table.concat(out)
end

-- The clock has come to `clock` at `now`; `lowest` is the lowest deadline outstanding, or nil.
local function add_mark(marks, clock, now, lowest)
  local floor = clock
  if lowest and lowest < floor then floor = lowest end
  local first = 1
  while first < #marks and struct.unpack('<d', marks, first) < floor do
    first = first + mark_bytes
  end
  if first > 1 then marks = string.sub(marks, first) end
  if #marks == 0 or struct.unpack('<d', marks, #marks - mark_bytes + 1) < clock then
    marks = marks .. struct.pack('<dd', clock, now)
  end
  if #marks > max_mark_bytes then marks = thin_marks(marks, now) end
  return marks
end
