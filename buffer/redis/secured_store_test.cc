// The store contract over TLS, with a client certificate and an ACL user, and over a unix socket;
// and what is said where that does not work.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "buffer/redis/redis_under_test.h"
#include "tests/unit/dictionary_store_contract.h"

namespace spillway::buffer {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const auto kStores = ::testing::Values(
    StoreFactory{"tls", [] { return std::make_unique<RedisUnderTest>(RedisKind::kTls); }},
    StoreFactory{"unix_socket",
                 [] { return std::make_unique<RedisUnderTest>(RedisKind::kUnixSocket); }});
std::string NameOf(const ::testing::TestParamInfo<StoreFactory>& row) { return row.param.name; }

INSTANTIATE_TEST_SUITE_P(Secured, ShardStoreContract, kStores, NameOf);
INSTANTIATE_TEST_SUITE_P(Secured, DictionaryContract, kStores, NameOf);

struct Misfit {
  std::string name;
  std::function<void(RedisStoreOptions&)> spoil;
  std::vector<std::string> said;
};

class MisfitTest : public ::testing::TestWithParam<Misfit> {};

TEST_P(MisfitTest, NamesTheSetting) {
  RedisStoreOptions options = SecuredOptions();
  GetParam().spoil(options);
  Loop loop;
  bool was_ready = false;
  RedisShardStore store(loop, options,
                        [&](const ConnectionState& state) { was_ready |= state.is_ready; });
  for (const std::string& words : GetParam().said) {
    RunLoopUntil(loop, [&] { return absl::StrContains(store.state().text, words); });
    EXPECT_THAT(store.state().text, HasSubstr(words));
  }
  EXPECT_FALSE(was_ready);
}

const std::string kMissing = "/nowhere/file.pem";

INSTANTIATE_TEST_SUITE_P(
    Tls, MisfitTest,
    ::testing::Values(
        Misfit{"AnotherAuthority",
               [](auto& o) { o.connection.tls.ca = SharedSecuredRedis().File("other-ca.pem"); },
               {"redis.tls.ca: the server's certificate is not trusted by", "other-ca.pem"}},
        Misfit{"TheSystemsAuthorities",
               [](auto& o) { o.connection.tls.ca.clear(); },
               {"redis.tls.ca", "the system's authorities"}},
        Misfit{"AnotherHost",
               [](auto& o) {
                 o.deployment = *ParseDeployment(
                     absl::StrCat("rediss://localhost:", SharedSecuredRedis().tls_port()));
               },
               {"redis.url: the server's certificate is not for localhost"}},
        Misfit{"NoClientCertificate",
               [](auto& o) { o.connection.tls.cert = o.connection.tls.key = ""; },
               {"redis.tls.cert: the server does not accept clients without a certificate"}},
        Misfit{"AnotherAuthoritysClient",
               [](auto& o) {
                 o.connection.tls.cert = SharedSecuredRedis().File("other-ca.pem");
                 o.connection.tls.key = SharedSecuredRedis().File("other-ca.key");
               },
               {"redis.tls.cert: the server does not accept", "other-ca.pem"}},
        Misfit{"NoAuthorityFile",
               [](auto& o) { o.connection.tls.ca = kMissing; },
               {"redis.tls.ca: cannot use /nowhere/file.pem"}},
        Misfit{"NoCertificateFile",
               [](auto& o) { o.connection.tls.cert = kMissing; },
               {"redis.tls.cert: cannot use /nowhere/file.pem"}},
        Misfit{"AKeyOfAnother",
               [](auto& o) { o.connection.tls.key = SharedSecuredRedis().File("other-ca.key"); },
               {"redis.tls.key: cannot use", "other-ca.key", "key values mismatch"}},
        Misfit{"NoPasswordFile",
               [](auto& o) { o.connection.password_file = "/nowhere/password"; },
               {"redis.password_file: cannot read /nowhere/password"}},
        Misfit{"AnotherUser",
               [](auto& o) { o.connection.username = "nobody"; },
               {"refused: WRONGPASS"}}),
    [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace spillway::buffer
