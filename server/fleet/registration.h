// Where a worker that somebody else started gets its place. Pure.
#ifndef SPILLWAY_SERVER_FLEET_REGISTRATION_H_
#define SPILLWAY_SERVER_FLEET_REGISTRATION_H_

#include <variant>

#include "server/fleet/fleet.h"

namespace spillway::fleet {

// The place it gets: to be followed by the event WorkerRegistered with the same values.
struct Seat {
  WorkerKey worker;
  Generation generation;
  bool is_known = false;  // it had this place before, with this server or an earlier one
};

enum class NoSeat {
  kUnknown,    // no such pool of this role
  kLaunched,   // spillwayd starts this pool's workers itself (scale_owner: spillway)
  kDuplicate,  // another process of this uid is there: `other`
  kStale,      // its place has gone to a newer worker
  kFull,       // as many workers as max are there
};
struct NotSeated {
  NoSeat why = NoSeat::kUnknown;
  const Worker* other = nullptr;  // kDuplicate, kStale (may be null there); lives in the fleet
};

// Who comes back (same uid, generation and pid) keeps its place, also one that this server does not
// know, as an earlier one gave it, unless somebody else sits there: then it gets another. Others
// get the lowest free place below max, of the next generation; if none is free, that of the lowest
// worker that is lost and has nothing any more. REQUIRES: hello.is_registered.
std::variant<Seat, NotSeated> JudgeRegistration(const Fleet& fleet, const wire::Hello& hello);

}  // namespace spillway::fleet

#endif  // SPILLWAY_SERVER_FLEET_REGISTRATION_H_
