-- What parts hold: their references and how their entries begin.
-- KEYS: meta, refs, parts. ARGV: audit id, step, lease in us, bytes wanted of each entry, most entries
--       of all parts; then per part its name and the first entry wanted
-- Returns: change counter ('': the audit has ended); then flat for each part: references with spaces
--          between, number of entries in all, how many follow here, those
-- include: common.lua
-- include: journal.lua
-- include: step.lua
local meta, refs = KEYS[1], KEYS[2]
local changes, is_repeated, unread = begin_step(meta)
if not changes then return is_repeated end
end_step(meta, unread)
local names, room, bytes = {}, tonumber(ARGV[5]), tonumber(ARGV[4])
for i = 3, #KEYS do names[i - 2] = ARGV[2 * i] end
local known, out, at = hash_values(refs, names), {changes}, 1
for i = 3, #KEYS do
  local key, first = KEYS[i], tonumber(ARGV[2 * i + 1])
  local kind, count, entries = call('TYPE', key).ok, 0, {}
  if kind == 'string' then
    count = 1
    if first == 0 then entries[1] = call('GETRANGE', key, 0, bytes - 1) end
  elseif kind == 'list' then
    count = call('LLEN', key)
    if room > 0 then entries = call('LRANGE', key, first, first + room - 1) end
  end
  room = room - #entries
  out[at + 1], out[at + 2], out[at + 3] = known[i - 2] or '', count, #entries
  at = at + 3
  for j = 1, #entries do out[at + j] = string.sub(entries[j], 1, bytes) end
  at = at + #entries
end
return out
