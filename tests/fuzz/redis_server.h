// A server that answers whatever it is asked with what a fuzzer has made up.
#ifndef SPILLWAY_TESTS_FUZZ_REDIS_SERVER_H_
#define SPILLWAY_TESTS_FUZZ_REDIS_SERVER_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/strings/string_view.h"
#include "base/loop.h"
#include "base/unique_fd.h"

namespace spillway::fuzz {

// Listens on a unix socket in a folder of its own, which goes with it. Speaks as much RESP as it
// takes to tell commands apart. One client at a time; a later one replaces it. Loop thread only.
class RedisServer {
 public:
  // The bytes that answer a command with this first word; none: the server hangs up.
  using Answer = absl::AnyInvocable<std::optional<std::string>(absl::string_view command)>;

  explicit RedisServer(Loop& loop);
  ~RedisServer();

  const std::string& path() const { return path_; }
  void set_answer(Answer answer) { answer_ = std::move(answer); }
  // Drops the client, if there is one.
  void HangUp();

 private:
  void Accept();
  void OnReadable();
  // The next whole command's first word, taken from `received_`; none yet: nothing.
  std::optional<std::string> NextCommand();

  Loop& loop_;
  std::string folder_;
  std::string path_;
  UniqueFd listener_;
  std::unique_ptr<ReadWatch> accepting_;
  UniqueFd client_;
  std::unique_ptr<ReadWatch> reading_;
  std::string received_;
  Answer answer_;
};

}  // namespace spillway::fuzz

#endif  // SPILLWAY_TESTS_FUZZ_REDIS_SERVER_H_
