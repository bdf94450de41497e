// An order's dead epochs as convert.cc reads and writes them.
#ifndef SPILLWAY_PROTO_WIRE_DEAD_EPOCH_H_
#define SPILLWAY_PROTO_WIRE_DEAD_EPOCH_H_

#include "proto/wire/worker_report.h"
#include "spillway/v1/gateway.pb.h"

namespace spillway::wire {

// No claim is named by zeros alone.
inline DeadEpoch ReadDeadEpoch(const v1::DeadEpoch& proto) {
  DeadEpoch dead{{proto.shard()}, {proto.epoch_number(), proto.epoch_owner()}};
  const ClaimId in_hand{proto.claim_high(), proto.claim_low()};
  if (in_hand != ClaimId{}) dead.in_hand = in_hand;
  return dead;
}

inline void WriteDeadEpoch(const DeadEpoch& dead, v1::DeadEpoch& proto) {
  proto.set_shard(dead.shard.value);
  proto.set_epoch_number(dead.epoch.number);
  proto.set_epoch_owner(dead.epoch.owner);
  const ClaimId in_hand = dead.in_hand.value_or(ClaimId{});
  proto.set_claim_high(in_hand.high);
  proto.set_claim_low(in_hand.low);
}

}  // namespace spillway::wire

#endif  // SPILLWAY_PROTO_WIRE_DEAD_EPOCH_H_
