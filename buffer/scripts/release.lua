-- Ends a claim that was not delivered: its parts are due again, with their old deadlines.
-- KEYS: meta, due, inflight, attempts, claim, journal
-- ARGV: claim id, 1 to count an attempt
-- Returns: 1 if the claim was known
-- include: common.lua
-- include: journal.lua
local meta, due, inflight, attempts, claim, journal = unpack(KEYS)
local m = call('HMGET', meta, 'format', 'claimed', 'changes', 'released', 'audit')
if not m[1] then return {err = 'NO_SHARD'} end
local wrong = wrong_type(due, 'zset') or wrong_type(inflight, 'zset')
  or wrong_type(attempts, 'hash') or wrong_type(claim, 'list')
  or m[5] and wrong_type(journal, 'list')
if wrong then return wrong end
local held = call('LRANGE', claim, 0, -1)
if not held[1] then return 0 end
local count, scores, entries = #held - 2, scores_of_claim(held), {}
for i = 1, count do entries[2 * i - 1], entries[2 * i] = scores[i], held[i + 2] end
call('ZREM', inflight, ARGV[1] .. ' ' .. held[1])
call('UNLINK', claim)
in_pages('ZADD', due, entries)
if ARGV[2] == '1' then
  for j = 3, #held do call('HINCRBY', attempts, held[j], 1) end
end
if m[5] then
  local names = {}
  for j = 3, #held do names[j - 2] = held[j] end
  tell_audit(meta, journal, m[5], m[3] + 1, records_of('D', names))
end
call('HSET', meta, 'claimed', m[2] - count, 'changes', m[3] + 1, 'released', (m[4] or 0) + count)
return 1
