#include "worker/ingest/dead_letters.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace spillway::ingest {

namespace {

// No topic refuses less for its size; a refusal has another reason then, which may pass.
constexpr size_t kSmallBytes = 16 << 10;

}  // namespace

struct DeadLetterOutbox::Waiting {
  DeadLetter letter;
  std::weak_ptr<void> interest;
  absl::AnyInvocable<void()> acknowledged;
  bool is_alone = false;  // refused once, maybe for what shared its batch
  bool is_bare = false;   // goes without its payload
};

DeadLetterOutbox::DeadLetterOutbox(kafka::Producer& producer, std::string input_topic,
                                   std::string dead_letter_topic)
    : producer_(producer),
      input_topic_(std::move(input_topic)),
      dead_letter_topic_(std::move(dead_letter_topic)) {}

DeadLetterOutbox::~DeadLetterOutbox() { *alive_ = false; }

void DeadLetterOutbox::Send(DeadLetter letter, std::weak_ptr<void> interest,
                            absl::AnyInvocable<void()> acknowledged) {
  ++waiting_;
  Produce(std::make_unique<Waiting>(
      Waiting{std::move(letter), std::move(interest), std::move(acknowledged), false, false}));
}

void DeadLetterOutbox::Retry() {
  std::deque<std::unique_ptr<Waiting>> again = std::exchange(again_, {});
  for (std::unique_ptr<Waiting>& waiting : again) {
    if (waiting->interest.expired()) {
      --waiting_;
    } else if (waiting->is_alone) {
      alone_.push_back(std::move(waiting));
    } else {
      Produce(std::move(waiting));
    }
  }
  SendNextAlone();
}

void DeadLetterOutbox::SendNextAlone() {
  if (is_sending_alone_ || alone_.empty()) return;
  is_sending_alone_ = true;
  std::unique_ptr<Waiting> next = std::move(alone_.front());
  alone_.pop_front();
  Produce(std::move(next));
}

void DeadLetterOutbox::Produce(std::unique_ptr<Waiting> waiting) {
  const DeadLetter& letter = waiting->letter;
  kafka::OutgoingMessage message;
  message.headers = {{"spillway-reason", letter.rejection.reason},
                     {"spillway-field", letter.rejection.field},
                     {"spillway-topic", input_topic_},
                     {"spillway-partition", absl::StrCat(letter.shard.value)},
                     {"spillway-offset", absl::StrCat(letter.offset)},
                     {"spillway-error", letter.rejection.message}};
  if (waiting->is_bare) {
    message.headers.emplace_back("spillway-omitted-bytes", absl::StrCat(letter.payload.size()));
  } else {
    message.payload = letter.payload;
    message.key = letter.key;
  }
  // The report's owner; given back where the producer does not take the message.
  auto kept = std::make_shared<std::unique_ptr<Waiting>>(std::move(waiting));
  absl::AnyInvocable<void(kafka::DeliveryReport)> done = [this, alive = alive_,
                                                          kept](kafka::DeliveryReport report) {
    if (*alive) OnReport(std::move(*kept), std::move(report));
  };
  const absl::Status status = producer_.Produce(dead_letter_topic_, message, done);
  if (status.ok()) return;
  last_failure_ = std::string(status.message());
  if ((*kept)->is_alone) is_sending_alone_ = false;
  again_.push_back(std::move(*kept));
}

void DeadLetterOutbox::OnReport(std::unique_ptr<Waiting> waiting, kafka::DeliveryReport report) {
  if (waiting->is_alone) is_sending_alone_ = false;
  if (report.delivery == kafka::Delivery::kDelivered) {
    --waiting_;
    last_failure_.clear();
    SendNextAlone();
    if (!waiting->interest.expired()) waiting->acknowledged();
    return;
  }
  last_failure_ = std::move(report.message);
  const bool is_refused = report.delivery == kafka::Delivery::kRefused;
  if (is_refused && !waiting->is_alone) {
    waiting->is_alone = true;
    alone_.push_back(std::move(waiting));
  } else {
    if (is_refused && waiting->letter.payload.size() > kSmallBytes) waiting->is_bare = true;
    again_.push_back(std::move(waiting));
  }
  SendNextAlone();
}

}  // namespace spillway::ingest
