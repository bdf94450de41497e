-- Tries every command that the other scripts use, on scratch keys, so that a missing right shows
-- when a program starts.
-- KEYS: a hash, a sorted set, a list, a string
-- Returns: 1, or an error naming the command
-- include: common.lua
local hash, set, list, text = unpack(KEYS)
local tries = {
  {'HDEL', hash, '-'}, {'UNLINK', hash, set, list, text}, {'TYPE', hash}, {'EXISTS', hash}, {'TIME'},
  {'HSET', hash, 'a', '1'}, {'HINCRBY', hash, 'a', '1'}, {'HGET', hash, 'a'},
  {'HMGET', hash, 'a', 'b'}, {'HGETALL', hash}, {'HLEN', hash},
  {'HEXISTS', hash, 'a'}, {'HKEYS', hash},
  {'ZADD', set, '1', 'a', '2', 'b'}, {'ZCARD', set}, {'ZCOUNT', set, '-inf', '1'},
  {'ZMSCORE', set, 'a', 'c'}, {'ZRANGE', set, '0', '0', 'WITHSCORES'},
  {'ZRANGEBYSCORE', set, '(1', '+inf', 'WITHSCORES', 'LIMIT', '0', '1'}, {'ZREM', set, 'a'},
  {'ZSCAN', set, '0', 'COUNT', '1'}, {'ZREMRANGEBYRANK', set, '0', '0'},
  {'RPUSH', list, 'a', 'b'}, {'LLEN', list}, {'LINDEX', list, '-1'}, {'LRANGE', list, '0', '-1'},
  {'LTRIM', list, '1', '-1'},
  {'MSET', text, 'a'}, {'SET', text, 'ab'}, {'GET', text}, {'GETRANGE', text, '0', '0'},
  {'UNLINK', hash, set, list, text},
}
for i = 1, #tries do
  local result = pcall_redis(unpack(tries[i]))
  if type(result) == 'table' and result.err then
    return {err = 'SELFTEST ' .. tries[i][1] .. ': ' .. result.err}
  end
end
local packed = struct.pack('<dd', 1700000000000, 1700000000000001)
if struct.unpack('<d', packed, 9) ~= 1700000000000001 then
  return {err = 'SELFTEST struct: the library does not keep numbers'}
end
return 1
