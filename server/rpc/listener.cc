#include "server/rpc/listener.h"

#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/rpc/address.h"

namespace spillway::rpc {
namespace {

absl::StatusOr<std::string> ReadFile(absl::string_view key, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::InvalidArgumentError(absl::StrCat(key, ": cannot read ", path));
  return std::string(std::istreambuf_iterator<char>(file), {});
}

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> TlsCredentials(
    const config::ServerTls& tls) {
  grpc::SslServerCredentialsOptions::PemKeyCertPair pair;
  ASSIGN_OR_RETURN(pair.cert_chain, ReadFile("server.tls.cert", tls.cert));
  ASSIGN_OR_RETURN(pair.private_key, ReadFile("server.tls.key", tls.key));
  grpc::SslServerCredentialsOptions options;
  options.pem_key_cert_pairs.push_back(std::move(pair));
  if (!tls.ca.empty()) {  // clients must show a certificate of this authority
    ASSIGN_OR_RETURN(options.pem_root_certs, ReadFile("server.tls.ca", tls.ca));
    options.client_certificate_request = GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY;
  }
  return grpc::SslServerCredentials(options);
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> CredentialsFor(
    absl::string_view key, absl::string_view address, const config::Server& config) {
  const bool is_unix = !UnixSocketPath(address).empty();
  if (!config.tls.cert.empty() && !is_unix) return TlsCredentials(config.tls);
  if (IsLocal(address) || config.insecure) return grpc::InsecureServerCredentials();
  return absl::InvalidArgumentError(
      absl::StrCat(key, ": ", address,
                   " can be reached from other machines: set server.tls, or server.insecure: true "
                   "if the network "
                   "is trusted"));
}

}  // namespace spillway::rpc
