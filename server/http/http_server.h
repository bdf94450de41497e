// The HTTP side of spillwayd: probes, metrics, read-only JSON, and a page that shows them.
#ifndef SPILLWAY_SERVER_HTTP_HTTP_SERVER_H_
#define SPILLWAY_SERVER_HTTP_HTTP_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "config/config.h"
#include "server/record/recorder.h"
#include "server/supervisor/fleet_control.h"

namespace spillway::http {

// GET only: /livez, /readyz[?verbose], /metrics, /api/v1/pools, /api/v1/workers[?pool=NAME],
// /api/v1/shards, / ; with a record also /api/v1/events and /api/v1/deaths[?pool=NAME], both with
// page_size and page_token. Owns a listening thread and kThreads serving ones; what is more waits.
// `fleet`, `clock` and `history` (null: none) must outlive it.
class HttpServer {
 public:
  static constexpr int kThreads = 4;

  // Listens on `config.http`. INVALID_ARGUMENT: the address is malformed, or open to the network
  // without server.insecure; UNAVAILABLE: cannot listen. The message begins with the key.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const config::Server& config,
                                                           supervisor::FleetControl& fleet,
                                                           const Clock& clock,
                                                           record::History* history = nullptr);
  ~HttpServer();  // closes the listener, lets answers under way end
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // "127.0.0.1:41235": also if port 0 was asked for.
  const std::string& address() const { return address_; }

 private:
  struct Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
  std::string address_;
};

}  // namespace spillway::http

#endif  // SPILLWAY_SERVER_HTTP_HTTP_SERVER_H_
