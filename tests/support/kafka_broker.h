// Brokers for tests: librdkafka's mock cluster in this process, or a real single-node Kafka in
// processes of its own (deploy/lib/services.sh). Nothing of either outlives the object.
#ifndef SPILLWAY_TESTS_SUPPORT_KAFKA_BROKER_H_
#define SPILLWAY_TESTS_SUPPORT_KAFKA_BROKER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/loop.h"

namespace spillway::test_support {

class KafkaBroker {
 public:
  virtual ~KafkaBroker() = default;
  virtual const std::string& address() const = 0;
  virtual bool is_real() const = 0;
  virtual void CreateTopic(const std::string& topic, int32_t partitions,
                           const std::map<std::string, std::string>& config = {}) = 0;
  // Down: connections break and new ones are refused. Mock only.
  virtual void SetDown(bool is_down) = 0;
};

std::unique_ptr<KafkaBroker> MakeMockBroker();
// Null, saying why on stderr, where no Java is.
std::unique_ptr<KafkaBroker> MakeRealBroker();

// Appends with a client of its own; returns when the broker has the message.
void Append(const KafkaBroker& broker, const std::string& topic, int32_t partition,
            const std::optional<std::string>& payload, int64_t timestamp_ms = 0);
// `count` messages "<first>", "<first + 1>", …
void AppendNumbers(const KafkaBroker& broker, const std::string& topic, int32_t partition,
                   int first, int count);

// Runs `loop` until `condition` holds. False: not within `timeout`.
bool RunUntil(Loop& loop, const std::function<bool()>& condition,
              Duration timeout = std::chrono::seconds(20));

}  // namespace spillway::test_support

#endif  // SPILLWAY_TESTS_SUPPORT_KAFKA_BROKER_H_
