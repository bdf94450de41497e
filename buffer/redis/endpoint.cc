#include "buffer/redis/endpoint.h"

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"

namespace spillway::buffer {
namespace {

absl::Status Malformed(absl::string_view url, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(
      "redis.url: \"", url, "\" ", why,
      "; right is redis://HOST:PORT[/DATABASE], rediss://HOST:PORT, redis+unix:///PATH, "
      "redis+cluster://HOST:PORT[,HOST:PORT] or redis+sentinel://HOST:PORT[,HOST:PORT]/MASTER"));
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string PercentDecode(absl::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && HexDigit(text[i + 1]) >= 0 &&
        HexDigit(text[i + 2]) >= 0) {
      out.push_back(static_cast<char>(HexDigit(text[i + 1]) * 16 + HexDigit(text[i + 2])));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

// Splits `text` at the first `separator`: returns what is before it, leaves what is after it.
absl::string_view TakeUntil(absl::string_view& text, char separator) {
  const size_t at = text.find(separator);
  const absl::string_view head = text.substr(0, at);
  text = at == absl::string_view::npos ? absl::string_view() : text.substr(at + 1);
  return head;
}

absl::Status ParseDatabase(absl::string_view url, absl::string_view text, Endpoint& endpoint) {
  if (text.empty()) return absl::OkStatus();
  if (!absl::SimpleAtoi(text, &endpoint.database) || endpoint.database < 0) {
    return Malformed(url, "has no database number at its end");
  }
  return absl::OkStatus();
}

absl::Status ParseHost(absl::string_view url, absl::string_view text, Endpoint& endpoint) {
  size_t colon = text.rfind(':');
  if (absl::StartsWith(text, "[")) {  // [IPv6]:port
    const size_t end = text.find(']');
    if (end == absl::string_view::npos) return Malformed(url, "has no closing ] of its address");
    endpoint.host = std::string(text.substr(1, end - 1));
    colon = text.find(':', end);
  } else {
    endpoint.host = std::string(text.substr(0, colon));
  }
  if (endpoint.host.empty()) return Malformed(url, "names no host");
  if (colon == absl::string_view::npos) return absl::OkStatus();
  if (!absl::SimpleAtoi(text.substr(colon + 1), &endpoint.port) || endpoint.port < 1 ||
      endpoint.port > 65535) {
    return Malformed(url, "has a port that is not a number from 1 to 65535");
  }
  return absl::OkStatus();
}

// Takes "user:password@" off the authority.
void TakeUser(absl::string_view& authority, Endpoint& endpoint) {
  const size_t at = authority.rfind('@');
  if (at == absl::string_view::npos) return;
  absl::string_view user = authority.substr(0, at);
  authority.remove_prefix(at + 1);
  endpoint.username = PercentDecode(TakeUntil(user, ':'));
  endpoint.password = PercentDecode(user);
}

absl::Status ParseHosts(absl::string_view url, absl::string_view hosts, Deployment& deployment) {
  const Endpoint common = deployment.endpoints.front();
  deployment.endpoints.clear();
  for (const absl::string_view host : absl::StrSplit(hosts, ',')) {
    deployment.endpoints.push_back(common);
    RETURN_IF_ERROR(ParseHost(url, host, deployment.endpoints.back()));
  }
  return absl::OkStatus();
}

// What follows "redis+cluster://" or "redis+sentinel://".
absl::Status ParseMany(absl::string_view url, absl::string_view rest, Deployment& deployment) {
  Endpoint& common = deployment.endpoints.front();
  absl::string_view authority = TakeUntil(rest, '/');
  TakeUser(authority, common);
  if (deployment.kind == Deployment::Kind::kSentinel) {
    common.port = 26379;
    deployment.master_name = PercentDecode(TakeUntil(rest, '/'));
    if (deployment.master_name.empty()) return Malformed(url, "names no master after the hosts");
    RETURN_IF_ERROR(ParseDatabase(url, rest, common));
  } else if (!rest.empty() && rest != "0") {
    return Malformed(url, "names a database, and a cluster has none but 0");
  }
  return ParseHosts(url, authority, deployment);
}

}  // namespace

std::string Endpoint::ToString() const {
  if (host.empty()) return absl::StrCat("redis+unix://", unix_path);
  const bool is_ipv6 = absl::StrContains(host, ':');
  return absl::StrCat(is_tls ? "rediss://" : "redis://", is_ipv6 ? "[" : "", host,
                      is_ipv6 ? "]" : "", ":", port);
}

absl::StatusOr<Endpoint> ParseEndpoint(absl::string_view url) {
  Endpoint endpoint;
  absl::string_view rest = url;
  if (absl::ConsumePrefix(&rest, "redis+unix://") || absl::ConsumePrefix(&rest, "unix://")) {
    endpoint.unix_path = PercentDecode(TakeUntil(rest, '?'));
    if (!absl::StartsWith(endpoint.unix_path, "/")) return Malformed(url, "names no absolute path");
    if (absl::ConsumePrefix(&rest, "db=")) RETURN_IF_ERROR(ParseDatabase(url, rest, endpoint));
    return endpoint;
  }
  endpoint.is_tls = absl::ConsumePrefix(&rest, "rediss://");
  if (!endpoint.is_tls && !absl::ConsumePrefix(&rest, "redis://")) {
    return Malformed(url, "has no known scheme");
  }
  absl::string_view authority = TakeUntil(rest, '/');
  TakeUser(authority, endpoint);
  RETURN_IF_ERROR(ParseHost(url, authority, endpoint));
  RETURN_IF_ERROR(ParseDatabase(url, rest, endpoint));
  return endpoint;
}

absl::StatusOr<Deployment> ParseDeployment(absl::string_view url) {
  using Kind = Deployment::Kind;
  absl::string_view rest = url;
  const bool is_tls = absl::StartsWith(url, "rediss");
  Deployment deployment;
  if (absl::ConsumePrefix(&rest, "redis+cluster://") ||
      absl::ConsumePrefix(&rest, "rediss+cluster://")) {
    deployment.kind = Kind::kCluster;
  } else if (absl::ConsumePrefix(&rest, "redis+sentinel://") ||
             absl::ConsumePrefix(&rest, "rediss+sentinel://")) {
    deployment.kind = Kind::kSentinel;
  }
  Endpoint& first = deployment.endpoints.emplace_back();
  if (deployment.kind == Kind::kServer) {
    ASSIGN_OR_RETURN(first, ParseEndpoint(url));
    return deployment;
  }
  first.is_tls = is_tls;
  RETURN_IF_ERROR(ParseMany(url, rest, deployment));
  return deployment;
}

}  // namespace spillway::buffer
