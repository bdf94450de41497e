// TLS to a Redis server: what the server must prove, what it is shown of us, and, when it fails,
// which setting to look at.
#ifndef SPILLWAY_BUFFER_REDIS_TLS_H_
#define SPILLWAY_BUFFER_REDIS_TLS_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"

struct redisContext;
struct ssl_st;

namespace spillway::buffer {

// Names of PEM files, read at every connect, so that renewed ones count.
struct TlsFiles {
  std::string ca;         // what to trust; empty: the system's authorities
  std::string cert, key;  // ours; empty: none
};

// The TLS of one connection. The server must show a certificate that is trusted and names the host
// that was connected to. Its thread's OpenSSL errors are taken as this connection's: one loop's.
class TlsSession {
 public:
  // Begins on a connection that is being made and owns what it needs from then on.
  // INVALID_ARGUMENT naming the setting of a file that is no good; UNAVAILABLE.
  static absl::StatusOr<TlsSession> Start(const TlsFiles& files, const std::string& host,
                                          redisContext* context);

  // The server has answered a command: our certificate, if it wants one, is good enough.
  void OnAccepted() { is_accepted_ = true; }
  // Why the connection was lost, naming the setting; empty: not for TLS's sake.
  const std::string& Problem();

 private:
  struct Free {
    void operator()(ssl_st* ssl) const;
  };
  TlsSession(TlsFiles files, std::string host, std::unique_ptr<ssl_st, Free> ssl);
  std::string FindProblem() const;

  TlsFiles files_;
  std::string host_;
  std::unique_ptr<ssl_st, Free> ssl_;  // shared with the connection: OpenSSL counts
  bool is_accepted_ = false;
  std::string problem_;
};

}  // namespace spillway::buffer

#endif  // SPILLWAY_BUFFER_REDIS_TLS_H_
