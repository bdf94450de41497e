#include "tests/support/secured_redis.h"

#include <chrono>
#include <fstream>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace spillway {

absl::StatusOr<SecuredRedis> SecuredRedis::Start() {
  TemporaryDirectory folder;
  const std::string script = absl::StrCat(SPILLWAY_SOURCE_DIR, "/tests/support/make_certificates");
  ASSIGN_OR_RETURN(const CommandResult made,
                   RunCommand({script, folder.path()}, std::chrono::seconds(30)));
  if (made.exit_code != 0) return absl::InternalError("openssl makes no certificates");
  const auto file = [&](absl::string_view name) { return absl::StrCat(folder.path(), "/", name); };
  std::ofstream(file("password")) << "secret\n";
  std::ofstream(file("users")) << "user default on nopass ~* &* +@all\n"
                                  "user spillway on >secret ~* &* +@all\n";
  const int tls_port = FreePort();
  ASSIGN_OR_RETURN(
      RedisServer server,
      RedisServer::Start({"--tls-port", absl::StrCat(tls_port), "--tls-cert-file",
                          file("server.pem"), "--tls-key-file", file("server.key"),
                          "--tls-ca-cert-file", file("ca.pem"), "--tls-auth-clients", "yes",
                          "--unixsocket", file("socket"), "--aclfile", file("users")}));
  return SecuredRedis(std::move(folder), std::move(server), tls_port);
}

std::string SecuredRedis::tls_url() const { return absl::StrCat("rediss://127.0.0.1:", tls_port_); }

std::string SecuredRedis::unix_url() const { return absl::StrCat("redis+unix://", File("socket")); }

std::string SecuredRedis::File(absl::string_view name) const {
  return absl::StrCat(folder_.path(), "/", name);
}

}  // namespace spillway
