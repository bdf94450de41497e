// What a simulation writes to the input topic, and how to know it again when it leaves.
#ifndef SPILLWAY_TESTS_SIM_INPUT_LOG_H_
#define SPILLWAY_TESTS_SIM_INPUT_LOG_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/clock.h"
#include "tests/support/fake_kafka.h"
#include "tests/support/reference_model.h"
#include "tests/support/seeded_random.h"

namespace spillway::sim {

// One message of the input. Messages of the same bytes have the same tag.
struct InputRecord {
  size_t tag = 0;
  bool is_valid = true;
  bool is_gone = false;              // its log was deleted before the message was in Redis
  test_support::ReferenceSpan span;  // content: the message's bytes
};

// Every message carries its tag as "<7>", which survives whatever is edited on the way. Tags in
// order of appearance.
std::vector<size_t> TagsIn(absl::string_view payload);

class InputLog {
 public:
  explicit InputLog(kafka::FakeKafka& kafka) : kafka_(kafka) {}

  // Appends one message: a span of few traces with few ids, so that segments grow, merge, form
  // cycles and share ids; or a copy of an earlier message; or an invalid one; sometimes late.
  void Append(test_support::SeededRandom& random, EventTime now);

  // The topic is deleted, with messages from `watermark` on unread by anyone, and made again.
  void Recreate(Offset watermark);

  // REQUIRES: `offset` is in the present log.
  const InputRecord& at(Offset offset) const {
    return records_[first_ + static_cast<size_t>(offset)];
  }
  Offset end() const { return static_cast<Offset>(records_.size() - first_); }
  // Of all logs.
  const std::vector<InputRecord>& records() const { return records_; }
  // Whether a span of this tag ends every flush worker that makes a message of it, in a simulation
  // with poison. All spans of a trace are alike in this, so all of a part are.
  bool IsPoison(size_t tag) const { return is_poison_[tag]; }
  // How many messages have this tag.
  size_t copies(size_t tag) const { return copies_[tag]; }

 private:
  InputRecord NewSpan(test_support::SeededRandom& random);
  InputRecord NewInvalid(test_support::SeededRandom& random);

  kafka::FakeKafka& kafka_;
  std::vector<InputRecord> records_;
  std::vector<size_t> copies_;   // by tag
  std::vector<bool> is_poison_;  // by tag
  size_t first_ = 0;             // record of the present log's offset 0
};

}  // namespace spillway::sim

#endif  // SPILLWAY_TESTS_SIM_INPUT_LOG_H_
