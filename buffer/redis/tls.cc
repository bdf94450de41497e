#include "buffer/redis/tls.h"

#include <hiredis/hiredis.h>
#include <hiredis/hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"

namespace spillway::buffer {
namespace {

struct FreeContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using ContextPtr = std::unique_ptr<SSL_CTX, FreeContext>;

std::string ReasonOf(unsigned long error) {
  const char* reason = ERR_reason_error_string(error);
  return reason == nullptr ? absl::StrCat("error ", error) : reason;
}

absl::Status BadFile(absl::string_view key, const std::string& file) {
  return absl::InvalidArgumentError(
      absl::StrCat(key, ": cannot use ", file, ": ", ReasonOf(ERR_peek_error())));
}

absl::StatusOr<ContextPtr> NewContext(const TlsFiles& files) {
  ContextPtr context(SSL_CTX_new(TLS_client_method()));
  if (context == nullptr) return absl::ResourceExhaustedError("out of memory");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  if (files.ca.empty()) {
    SSL_CTX_set_default_verify_paths(context.get());
  } else if (SSL_CTX_load_verify_locations(context.get(), files.ca.c_str(), nullptr) != 1) {
    return BadFile("redis.tls.ca", files.ca);
  }
  if (files.cert.empty()) return context;
  if (SSL_CTX_use_certificate_chain_file(context.get(), files.cert.c_str()) != 1) {
    return BadFile("redis.tls.cert", files.cert);
  }
  // Looks too whether the two belong together.
  if (SSL_CTX_use_PrivateKey_file(context.get(), files.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    return BadFile("redis.tls.key", files.key);
  }
  return context;
}

// The certificate must name `host`, an address or a name; a name is also told to the server.
bool DemandHost(SSL* ssl, const std::string& host) {
  if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1) return true;
  ERR_clear_error();  // that it is not an address
  return SSL_set1_host(ssl, host.c_str()) == 1 && SSL_set_tlsext_host_name(ssl, host.c_str()) == 1;
}

// The server asks for a certificate. It is then judged after the handshake has ended for us.
int OnCertificateRequest(SSL* ssl, void*) {
  SSL_set_app_data(ssl, ssl);  // not null: asked
  return 1;
}

}  // namespace

void TlsSession::Free::operator()(ssl_st* ssl) const { SSL_free(ssl); }

TlsSession::TlsSession(TlsFiles files, std::string host, std::unique_ptr<ssl_st, Free> ssl)
    : files_(std::move(files)), host_(std::move(host)), ssl_(std::move(ssl)) {}

absl::StatusOr<TlsSession> TlsSession::Start(const TlsFiles& files, const std::string& host,
                                             redisContext* context) {
  // What another connection has left there would be taken for ours, by OpenSSL too.
  ERR_clear_error();
  ASSIGN_OR_RETURN(const ContextPtr tls, NewContext(files));
  std::unique_ptr<ssl_st, Free> ssl(SSL_new(tls.get()));
  if (ssl == nullptr || !DemandHost(ssl.get(), host)) {
    return absl::InvalidArgumentError(absl::StrCat("redis.url: TLS to ", host, " cannot begin"));
  }
  SSL_set_cert_cb(ssl.get(), &OnCertificateRequest, nullptr);
  TlsSession session(files, host, std::move(ssl));
  SSL_up_ref(session.ssl_.get());
  if (redisInitiateSSL(context, session.ssl_.get()) != REDIS_OK) {
    SSL_free(session.ssl_.get());  // hiredis keeps it only where it began
    // A server nearby may have answered already.
    const std::string& problem = session.Problem();
    return absl::UnavailableError(problem.empty() ? absl::StrCat("TLS: ", context->errstr)
                                                  : problem);
  }
  return session;
}

const std::string& TlsSession::Problem() {
  if (problem_.empty()) problem_ = FindProblem();
  ERR_clear_error();
  return problem_;
}

std::string TlsSession::FindProblem() const {
  const long verified = SSL_get_verify_result(ssl_.get());
  if (verified == X509_V_ERR_HOSTNAME_MISMATCH || verified == X509_V_ERR_IP_ADDRESS_MISMATCH) {
    return absl::StrCat("redis.url: the server's certificate is not for ", host_);
  }
  if (verified != X509_V_OK) {
    return absl::StrCat("redis.tls.ca: the server's certificate is not trusted by ",
                        files_.ca.empty() ? "the system's authorities" : files_.ca, ": ",
                        X509_verify_cert_error_string(verified));
  }
  const auto refused = [this](absl::string_view why) {
    return absl::StrCat("redis.tls.cert: the server does not accept ",
                        files_.cert.empty() ? "clients without a certificate" : files_.cert, why);
  };
  const unsigned long error = ERR_peek_last_error();
  if (error == 0) {
    // What the server says to that is lost where our first command came too late for it to read.
    const bool is_undecided = SSL_get_app_data(ssl_.get()) != nullptr && !is_accepted_;
    return is_undecided ? refused(", it seems: it asked for one and closed the connection") : "";
  }
  switch (ERR_GET_REASON(error)) {
    case SSL_R_WRONG_VERSION_NUMBER:
      return "redis.url: the server does not speak TLS at this port";
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
      return refused(absl::StrCat(": ", ReasonOf(error)));
    default:
      return absl::StrCat("TLS: ", ReasonOf(error));
  }
}

}  // namespace spillway::buffer
