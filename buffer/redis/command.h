// One Redis command, already in wire form.
#ifndef SPILLWAY_BUFFER_REDIS_COMMAND_H_
#define SPILLWAY_BUFFER_REDIS_COMMAND_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "absl/strings/string_view.h"
#include "buffer/redis/script.h"

namespace spillway::buffer {

// Built by naming the number of arguments first, then adding exactly so many. Movable.
class Command {
 public:
  // A plain command, complete.
  explicit Command(std::initializer_list<absl::string_view> words);
  // A plain command; `argument_count` arguments are to be added.
  Command(absl::string_view name, size_t argument_count);
  // A script call (EVALSHA); `key_count` keys, then `argument_count` arguments are to be added.
  Command(const Script& script, size_t key_count, size_t argument_count);

  Command& Add(absl::string_view argument);
  Command& Add(int64_t argument);
  Command& AddAll(std::initializer_list<absl::string_view> arguments);

  bool is_complete() const { return missing_ == 0; }
  bool is_script() const { return script_ != nullptr; }
  const std::string& wire() const { return wire_; }
  // The same call with the script's text, `prologue` first, instead of its name (EVAL).
  // REQUIRES: is_script().
  std::string WireWithSource(absl::string_view prologue = "") const;

 private:
  const Script* script_ = nullptr;
  size_t missing_;
  size_t word_count_;
  size_t head_bytes_ = 0;  // of a script call: up to and with the name
  std::string wire_;
};

}  // namespace spillway::buffer

#endif  // SPILLWAY_BUFFER_REDIS_COMMAND_H_
