// A worker as the supervisor sees it through its stream: obeys every order at once and reports.
#ifndef SPILLWAY_TESTS_SUPPORT_FAKE_WORKER_LINK_H_
#define SPILLWAY_TESTS_SUPPORT_FAKE_WORKER_LINK_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/supervisor/worker_gateway.h"

namespace spillway::testing {

class FakeWorkerLink final : public supervisor::WorkerLink {
 public:
  void SendOrder(const wire::Order& order) override { orders.push_back(order); }
  void Close(const absl::Status& status) override { closed = status; }

  std::vector<wire::Order> orders;
  std::optional<absl::Status> closed;
};

// Lives on the loop's thread.
class FakeWorker {
 public:
  FakeWorker(supervisor::WorkerGateway& gateway, wire::Hello hello)
      : gateway_(gateway), link_(std::make_shared<FakeWorkerLink>()) {
    gateway_.Attach(std::move(hello), link_,
                    [this](absl::StatusOr<supervisor::Attachment> answer) { answer_ = answer; });
  }

  // Reports what it was last told to hold.
  void Report() {
    if (!answer_ || !answer_->ok()) return;
    wire::WorkerReport report;
    report.sequence = ++sequence_;
    report.is_ready = report.is_redis_ok = report.is_kafka_ok = true;
    if (!link_->orders.empty()) {
      const wire::Order& order = link_->orders.back();
      report.order_sequence = order.sequence;
      report.is_draining = order.drain;
      for (const ShardId shard : order.shards) {
        wire::ShardReport held;
        held.shard = shard;
        held.stage = wire::ShardStage::kOwned;
        held.epoch = {1, 1};
        report.shards.push_back(held);
      }
    }
    gateway_.Report((*answer_)->link, std::move(report));
  }
  void Disconnect() {
    if (answer_ && answer_->ok()) gateway_.Detach((*answer_)->link);
  }
  bool IsToldToDrain() const { return !link_->orders.empty() && link_->orders.back().drain; }
  std::vector<ShardId> OrderedShards() const {
    return link_->orders.empty() ? std::vector<ShardId>() : link_->orders.back().shards;
  }
  // Empty: not answered yet.
  const std::optional<absl::StatusOr<supervisor::Attachment>>& answer() const { return answer_; }
  const FakeWorkerLink& link() const { return *link_; }

 private:
  supervisor::WorkerGateway& gateway_;
  std::shared_ptr<FakeWorkerLink> link_;
  std::optional<absl::StatusOr<supervisor::Attachment>> answer_;
  uint64_t sequence_ = 0;
};

}  // namespace spillway::testing

#endif  // SPILLWAY_TESTS_SUPPORT_FAKE_WORKER_LINK_H_
