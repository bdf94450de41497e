-- Included by every script that changes what is live, so that an audit can read a shard piece by
-- piece while it is at work. While one is under way, `audit` in meta is `<id> <lease end> <step>
-- <records read last>`, and each of those scripts appends to the journal what it has changed:
--   =<changes>       the change counter after a script; what the script did comes behind it
--   N<part> <entry>  the first entry of a new part, which is in `due`    (an entry: how it begins)
--   A<part> <entry>  one more entry of a part, which is in `due`
--   T<part> <entry>  the first entry of a part whose list was gone: to be read; it is in `due`
--   R<part> <part>…  all references of a part
--   D<part>          is in `due`          C<part>  is in flight
--   X<part>          was absorbed         G<part>  has left, and what it refers to
-- buffer/redis/audit_mirror.h says why that is enough.

-- Nobody reads any more, or too slowly: then the audit ends here, and finds so itself.
local max_records = 200000

local function audit_head(audit)
  local id, lease_end, step, unread = string.match(audit, '^(%x+) (%d+) (%d+) (%d+)$')
  return id, tonumber(lease_end), tonumber(step), tonumber(unread)
end

-- REQUIRES: something has been written before, and the journal is a list.
local function tell_audit(meta, journal, audit, changes, records)
  local id, lease_end = audit_head(audit)
  if not id or lease_end < redis_time() or call('LLEN', journal) + #records >= max_records then
    call('UNLINK', journal)
    call('HDEL', meta, 'audit')
    return
  end
  call('RPUSH', journal, '=' .. changes)
  in_pages('RPUSH', journal, records)
end

-- One record `op` for each of `names`.
local function records_of(op, names)
  local records = {}
  for i = 1, #names do records[i] = op .. names[i] end
  return records
end
