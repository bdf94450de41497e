#include "proto/wire/worker_report.h"

#include <algorithm>

namespace spillway::wire {

const char* CauseName(Cause cause) {
  switch (cause) {
    case Cause::kNone:
      return "none";
    case Cause::kLateness:
      return "lateness";
    case Cause::kBacklog:
      return "backlog";
    case Cause::kRedisMemory:
      return "redis_memory";
    case Cause::kRedis:
      return "redis";
    case Cause::kRedisMoving:
      return "redis_moving";
    case Cause::kKafka:
      return "kafka";
    case Cause::kDeadLetter:
      return "dead_letter";
    case Cause::kIndex:
      return "index";
    case Cause::kOwnership:
      return "ownership";
    case Cause::kUnknown:
      return "unknown";
  }
  return "unknown";
}

const char* GateStateName(GateState state) {
  switch (state) {
    case GateState::kOpen:
      return "open";
    case GateState::kSlow:
      return "slow";
    case GateState::kClosed:
      return "closed";
  }
  return "closed";
}

const char* RoleName(Role role) {
  switch (role) {
    case Role::kIngest:
      return "ingest";
    case Role::kFlush:
      return "flush";
  }
  return "unknown";
}

const char* ActivityName(Activity activity) {
  switch (activity) {
    case Activity::kIdle:
      return "idle";
    case Activity::kEncode:
      return "encode";
    case Activity::kRedis:
      return "redis";
    case Activity::kKafkaQueue:
      return "kafka_queue";
    case Activity::kBroker:
      return "broker";
    case Activity::kGate:
      return "gate";
    case Activity::kOwnership:
      return "ownership";
    case Activity::kPaused:
      return "paused";
    case Activity::kRoom:
      return "room";
  }
  return "unknown";
}

void Lateness::Record(std::chrono::microseconds lateness) {
  const double seconds = std::max(0.0, std::chrono::duration<double>(lateness).count());
  const auto bucket = std::lower_bound(kLatenessBounds.begin(), kLatenessBounds.end(), seconds);
  ++counts[static_cast<size_t>(bucket - kLatenessBounds.begin())];
  sum_seconds += seconds;
}

}  // namespace spillway::wire
