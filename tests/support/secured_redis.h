// A private redis-server that is reached over TLS, by who has a certificate and a password, and
// over a unix socket. A plain port is there for the test's own hand.
#ifndef SPILLWAY_TESTS_SUPPORT_SECURED_REDIS_H_
#define SPILLWAY_TESTS_SUPPORT_SECURED_REDIS_H_

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tests/support/processes.h"

namespace spillway {

class SecuredRedis {
 public:
  static absl::StatusOr<SecuredRedis> Start();

  int port() const { return server_.port(); }  // plain
  int tls_port() const { return tls_port_; }
  std::string tls_url() const;   // by the address that its certificate names
  std::string unix_url() const;  // without TLS
  // Of its files: ca.pem, client.pem, client.key, other-ca.pem (tests/support/make_certificates)
  // and password, that of the ACL user `spillway`.
  std::string File(absl::string_view name) const;

 private:
  SecuredRedis(TemporaryDirectory folder, RedisServer server, int tls_port)
      : folder_(std::move(folder)), server_(std::move(server)), tls_port_(tls_port) {}

  TemporaryDirectory folder_;
  RedisServer server_;
  int tls_port_;
};

}  // namespace spillway

#endif  // SPILLWAY_TESTS_SUPPORT_SECURED_REDIS_H_
