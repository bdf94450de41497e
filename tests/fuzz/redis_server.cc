#include "tests/fuzz/redis_server.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/strings/numbers.h"
#include "base/check.h"

namespace spillway::fuzz {
namespace {

// The number of a line "<mark><number>\r\n" at `at`, which then stands behind it.
std::optional<size_t> ReadCount(absl::string_view text, size_t& at) {
  const size_t end = text.find("\r\n", at);
  size_t count = 0;
  if (end == absl::string_view::npos) return std::nullopt;
  CHECK(absl::SimpleAtoi(text.substr(at + 1, end - at - 1), &count), "clients send what is right");
  at = end + 2;
  return count;
}

}  // namespace

RedisServer::RedisServer(Loop& loop) : loop_(loop) {
  std::string folder = "/tmp/spillway-fuzz-XXXXXX";
  CHECK(mkdtemp(folder.data()) != nullptr, "/tmp can be written");
  folder_ = folder;
  path_ = folder_ + "/redis";
  listener_ = UniqueFd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  CHECK(path_.size() < sizeof(address.sun_path), "the path is short");
  std::memcpy(address.sun_path, path_.data(), path_.size());
  CHECK(bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 &&
            listen(listener_.get(), 16) == 0,
        "a new folder takes a socket");
  accepting_ = std::make_unique<ReadWatch>(loop_, listener_.get(), [this] { Accept(); });
}

RedisServer::~RedisServer() {
  HangUp();
  accepting_.reset();
  unlink(path_.c_str());
  rmdir(folder_.c_str());
}

void RedisServer::HangUp() {
  reading_.reset();
  client_.Reset();
  received_.clear();
}

void RedisServer::Accept() {
  UniqueFd client(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (client.get() < 0) return;
  HangUp();
  client_ = std::move(client);
  reading_ = std::make_unique<ReadWatch>(loop_, client_.get(), [this] { OnReadable(); });
}

void RedisServer::OnReadable() {
  std::array<char, 65536> buffer;
  const ssize_t size = recv(client_.get(), buffer.data(), buffer.size(), 0);
  if (size <= 0) return HangUp();
  received_.append(buffer.data(), static_cast<size_t>(size));
  while (const auto command = NextCommand()) {
    const std::optional<std::string> answer = answer_(*command);
    // What does not fit into the socket's buffer is as good as a connection that breaks.
    const bool is_sent = answer && send(client_.get(), answer->data(), answer->size(),
                                        MSG_NOSIGNAL) == static_cast<ssize_t>(answer->size());
    if (!is_sent) return HangUp();
  }
}

std::optional<std::string> RedisServer::NextCommand() {
  const absl::string_view text = received_;
  size_t at = 0;
  const std::optional<size_t> words = text.empty() ? std::nullopt : ReadCount(text, at);
  if (!words) return std::nullopt;
  std::string first;
  for (size_t word = 0; word < *words; ++word) {
    if (at >= text.size()) return std::nullopt;
    const std::optional<size_t> bytes = ReadCount(text, at);
    if (!bytes || at + *bytes + 2 > text.size()) return std::nullopt;
    if (word == 0) first = std::string(text.substr(at, *bytes));
    at += *bytes + 2;
  }
  received_.erase(0, at);
  return first;
}

}  // namespace spillway::fuzz
