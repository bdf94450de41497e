// Which claim this process works on at the moment: should it end there, the claim is suspected of
// it (design section 4, invariant 5).
#ifndef SPILLWAY_WORKER_FLUSH_IN_HAND_H_
#define SPILLWAY_WORKER_FLUSH_IN_HAND_H_

#include <functional>
#include <optional>

#include "base/ids.h"

namespace spillway::flush {

// Keeps what is in hand where it outlives the process (base/hand_file.h); empty: nothing. May
// itself be empty: nobody wants to know.
using NoteInHand = std::function<void(const std::optional<ClaimInHand>&)>;

// The claim is in hand for as long as this lives. Not around anything that waits.
class InHand {
 public:
  InHand(const NoteInHand& note, const ClaimInHand& claim) : note_(note) {
    if (note_) note_(claim);
  }
  ~InHand() {
    if (note_) note_(std::nullopt);
  }
  InHand(const InHand&) = delete;
  InHand& operator=(const InHand&) = delete;

 private:
  const NoteInHand& note_;
};

}  // namespace spillway::flush

#endif  // SPILLWAY_WORKER_FLUSH_IN_HAND_H_
