#include "server/http/http_server.h"

#include <httplib.h>
#include <sys/socket.h>

#include <future>
#include <thread>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "proto/wire/json.h"
#include "server/http/metrics.h"
#include "server/http/overview_page.h"
#include "server/http/probes.h"
#include "server/rpc/address.h"
#include "server/rpc/history_messages.h"
#include "server/rpc/operation_messages.h"
#include "server/rpc/resource_messages.h"

namespace spillway::http {
namespace {

constexpr std::chrono::seconds kRecordTimeout{5};
constexpr time_t kIdleTimeoutSeconds = 5;
constexpr size_t kRequestsPerConnection = 100;
constexpr size_t kMaxRequestBytes = 64 << 10;  // nothing here takes a body

struct HostAndPort {
  std::string host;
  int port = 0;
};

// Splits "127.0.0.1:7480" and "[::1]:7480".
absl::StatusOr<HostAndPort> Split(const std::string& address) {
  const size_t colon = address.rfind(':');
  HostAndPort result;
  if (colon != std::string::npos && absl::SimpleAtoi(address.substr(colon + 1), &result.port) &&
      result.port >= 0 && result.port <= 65535) {
    result.host = address.substr(0, colon);
    if (result.host.size() > 2 && result.host.front() == '[') {
      result.host = result.host.substr(1, result.host.size() - 2);
    }
    if (!result.host.empty()) return result;
  }
  return absl::InvalidArgumentError(absl::StrCat("server.http: ", address, ": expected HOST:PORT"));
}

// Not SO_REUSEPORT, which is httplib's default: a second server must not share the port.
void SetSocketOptions(socket_t socket) {
  const int yes = 1;
  setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
}

void Answer(httplib::Response& response, int status, const std::string& body, const char* type) {
  response.status = status;
  response.set_content(body, type);
}

absl::StatusOr<record::PageQuery> PageOf(const httplib::Request& request) {
  int32_t size = 0;
  const std::string size_text = request.get_param_value("page_size");
  const bool is_size = size_text.empty() || absl::SimpleAtoi(size_text, &size);
  return rpc::ParsePage(is_size ? size : -1, request.get_param_value("page_token"));
}

// The page a request asks for, as the message that answers it; the thread waits for the record.
template <typename Entry, typename List>
void AnswerPage(const httplib::Request& request, httplib::Response& response, const List& list) {
  absl::StatusOr<record::PageQuery> query = PageOf(request);
  if (!query.ok())
    return Answer(response, 400, std::string(query.status().message()), "text/plain");
  query->pool = request.get_param_value("pool");
  auto promise = std::make_shared<std::promise<absl::StatusOr<std::vector<Entry>>>>();
  auto future = promise->get_future();
  list(*query,
       [promise](absl::StatusOr<std::vector<Entry>> page) { promise->set_value(std::move(page)); });
  if (future.wait_for(kRecordTimeout) != std::future_status::ready) {
    return Answer(response, 503, "the record does not answer\n", "text/plain");
  }
  const absl::StatusOr<std::vector<Entry>> page = future.get();
  if (!page.ok()) return Answer(response, 503, std::string(page.status().message()), "text/plain");
  Answer(response, 200, wire::ToJson(rpc::ToMessage(*page, *query)), "application/json");
}

}  // namespace

struct HttpServer::Impl {
  Impl(supervisor::FleetControl& fleet_control, const Clock& server_clock,
       record::History* the_history)
      : fleet(fleet_control), clock(server_clock), history(the_history) {
    server.set_keep_alive_timeout(kIdleTimeoutSeconds);
    server.set_keep_alive_max_count(kRequestsPerConnection);
    server.set_read_timeout(kIdleTimeoutSeconds);
    server.set_payload_max_length(kMaxRequestBytes);
    server.set_socket_options(SetSocketOptions);
    server.set_default_headers(
        {{"Cache-Control", "no-store"},
         {"X-Content-Type-Options", "nosniff"},
         {"Content-Security-Policy",
          "default-src 'self'; script-src 'unsafe-inline'; style-src 'unsafe-inline'"}});
    AddProbes();
    AddData();
  }

  void AddProbes() {
    server.Get("/livez", [](const httplib::Request&, httplib::Response& response) {
      Answer(response, 200, "ok\n", "text/plain");
    });
    server.Get("/readyz", [this](const httplib::Request& request, httplib::Response& response) {
      const ProbeAnswer answer =
          Readiness(*fleet.Snapshot(), clock.Now(), request.has_param("verbose"));
      Answer(response, answer.ok ? 200 : 503, answer.text, "text/plain; charset=utf-8");
    });
    server.Get("/metrics", [this](const httplib::Request&, httplib::Response& response) {
      Answer(response, 200, MetricsText(*fleet.Snapshot(), clock.Now()),
             "text/plain; version=0.0.4; charset=utf-8");
    });
  }

  void AddData() {
    server.Get("/api/v1/pools", [this](const httplib::Request&, httplib::Response& response) {
      Answer(response, 200, wire::ToJson(rpc::AllPools(*fleet.Snapshot(), clock.Now())),
             "application/json");
    });
    server.Get(
        "/api/v1/workers", [this](const httplib::Request& request, httplib::Response& response) {
          const std::string pool = request.get_param_value("pool");
          Answer(response, 200, wire::ToJson(rpc::AllWorkers(*fleet.Snapshot(), pool, clock.Now())),
                 "application/json");
        });
    server.Get("/api/v1/shards", [this](const httplib::Request&, httplib::Response& response) {
      Answer(response, 200, wire::ToJson(rpc::AllShards(*fleet.Snapshot(), clock.Now())),
             "application/json");
    });
    server.Get(
        "/api/v1/operations", [this](const httplib::Request& request, httplib::Response& response) {
          const absl::StatusOr<record::PageQuery> query = PageOf(request);
          if (!query.ok())
            return Answer(response, 400, std::string(query.status().message()), "text/plain");
          Answer(response, 200, wire::ToJson(rpc::OperationsPage(*fleet.Snapshot(), *query)),
                 "application/json");
        });
    if (history != nullptr) AddHistory();
    server.Get("/", [](const httplib::Request&, httplib::Response& response) {
      Answer(response, 200, kOverviewPage, "text/html; charset=utf-8");
    });
  }

  void AddHistory() {
    server.Get("/api/v1/events", [this](const auto& request, httplib::Response& response) {
      AnswerPage<record::Event>(request, response, [this](const auto& query, auto done) {
        history->ListEvents(query, std::move(done));
      });
    });
    server.Get("/api/v1/deaths", [this](const auto& request, httplib::Response& response) {
      AnswerPage<record::Death>(request, response, [this](const auto& query, auto done) {
        history->ListDeaths(query, std::move(done));
      });
    });
  }

  // Returns once the server can be stopped.
  void Run() {
    std::promise<void> running;
    server.new_task_queue = [&running] {
      running.set_value();
      return new httplib::ThreadPool(kThreads);  // httplib deletes it
    };
    thread = std::thread([this] { server.listen_after_bind(); });
    running.get_future().wait();
  }

  supervisor::FleetControl& fleet;
  const Clock& clock;
  record::History* const history;  // may be null
  httplib::Server server;
  std::thread thread;
};

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const config::Server& config,
                                                              supervisor::FleetControl& fleet,
                                                              const Clock& clock,
                                                              record::History* history) {
  const absl::StatusOr<HostAndPort> where = Split(config.http);
  if (!where.ok()) return where.status();
  if (!rpc::IsLocal(config.http) && !config.insecure) {
    return absl::InvalidArgumentError(
        absl::StrCat("server.http: ", config.http,
                     " can be reached from other machines: listen on 127.0.0.1 behind a "
                     "proxy, or set server.insecure: true if the network is trusted"));
  }
  std::unique_ptr<HttpServer> http(new HttpServer(std::make_unique<Impl>(fleet, clock, history)));
  httplib::Server& server = http->impl_->server;
  const int port = where->port == 0 ? server.bind_to_any_port(where->host)
                   : server.bind_to_port(where->host, where->port) ? where->port
                                                                   : -1;
  if (port <= 0)
    return absl::UnavailableError(absl::StrCat("server.http: cannot listen on ", config.http));
  http->address_ = absl::StrCat(config.http.substr(0, config.http.rfind(':')), ":", port);
  http->impl_->Run();
  return http;
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpServer::~HttpServer() {
  if (!impl_->thread.joinable()) return;
  impl_->server.stop();
  impl_->thread.join();
}

}  // namespace spillway::http
