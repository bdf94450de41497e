// The store contract on a real Redis: as it is, and with every script watched for undeclared keys.
// On a cluster: cluster_store_test.cc.
#include <gtest/gtest.h>

#include "buffer/redis/redis_under_test.h"
#include "tests/unit/dictionary_store_contract.h"

namespace spillway::buffer {
namespace {

// Runs before each script: calls of a key that is not in KEYS fail (invariant 1), and so does a
// call that writes `meta` before another key is written, unless it changes nothing.
constexpr char kWatchKeys[] = R"lua(
local declared = {}
for i = 1, #KEYS do declared[KEYS[i]] = true end
if #KEYS == 0 then error('no key is declared') end
local server = redis
local distance = {UNLINK = 1, EXISTS = 1, MSET = 2}  -- from one key to the next; else there is one
local function check(command, ...)
  if command == 'TIME' then return end
  local words = {...}
  for i = 1, distance[command] and #words or 1, distance[command] or 1 do
    if not declared[words[i]] then error(command .. ' of undeclared key ' .. tostring(words[i])) end
  end
end
local redis = {
  call = function(...) check(...) return server.call(...) end,
  pcall = function(...) check(...) return server.pcall(...) end,
}
)lua";

const auto kStores = ::testing::Values(
    StoreFactory{"plain", [] { return std::make_unique<RedisUnderTest>(); }},
    StoreFactory{"declared_keys",
                 [] { return std::make_unique<RedisUnderTest>(RedisKind::kServer, kWatchKeys); }});
std::string NameOf(const ::testing::TestParamInfo<StoreFactory>& row) { return row.param.name; }

INSTANTIATE_TEST_SUITE_P(Redis, ShardStoreContract, kStores, NameOf);
INSTANTIATE_TEST_SUITE_P(Redis, DictionaryContract, kStores, NameOf);

}  // namespace
}  // namespace spillway::buffer
