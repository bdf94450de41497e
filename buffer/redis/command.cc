#include "buffer/redis/command.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace spillway::buffer {
namespace {

void AppendWord(std::string& wire, absl::string_view word) {
  absl::StrAppend(&wire, "$", word.size(), "\r\n", word, "\r\n");
}

}  // namespace

Command::Command(std::initializer_list<absl::string_view> words)
    : missing_(words.size()), word_count_(words.size()) {
  absl::StrAppend(&wire_, "*", word_count_, "\r\n");
  AddAll(words);
}

Command::Command(absl::string_view name, size_t argument_count)
    : missing_(argument_count + 1), word_count_(argument_count + 1) {
  absl::StrAppend(&wire_, "*", word_count_, "\r\n");
  Add(name);
}

Command::Command(const Script& script, size_t key_count, size_t argument_count)
    : script_(&script),
      missing_(key_count + argument_count + 1),
      word_count_(key_count + argument_count + 3) {
  absl::StrAppend(&wire_, "*", word_count_, "\r\n");
  AppendWord(wire_, "EVALSHA");
  AppendWord(wire_, script.sha1);
  head_bytes_ = wire_.size();
  Add(static_cast<int64_t>(key_count));
}

Command& Command::Add(absl::string_view argument) {
  CHECK(missing_ > 0, "a command is given as many arguments as it announced");
  --missing_;
  AppendWord(wire_, argument);
  return *this;
}

Command& Command::Add(int64_t argument) { return Add(absl::string_view(absl::StrCat(argument))); }

Command& Command::AddAll(std::initializer_list<absl::string_view> arguments) {
  for (absl::string_view argument : arguments) Add(argument);
  return *this;
}

std::string Command::WireWithSource(absl::string_view prologue) const {
  std::string wire = absl::StrCat("*", word_count_, "\r\n");
  AppendWord(wire, "EVAL");
  AppendWord(wire, absl::StrCat(prologue, script_->source));
  wire.append(wire_, head_bytes_);
  return wire;
}

}  // namespace spillway::buffer
