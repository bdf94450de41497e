// Names of the keys in Redis; the layout is described in buffer/KEYS.md.
#ifndef SPILLWAY_BUFFER_REDIS_KEYS_H_
#define SPILLWAY_BUFFER_REDIS_KEYS_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/ids.h"
#include "buffer/redis/slot.h"
#include "buffer/shard_store.h"

namespace spillway::buffer {

inline constexpr int kFormatVersion = 1;

// The keys of one shard. All begin with the hash tag "{<namespace>/<shard>}".
class ShardKeys {
 public:
  ShardKeys(absl::string_view name_space, ShardId shard);

  const std::string& meta() const { return meta_; }
  std::string due() const { return tag_ + "d"; }
  std::string references() const { return tag_ + "r"; }
  std::string inflight() const { return tag_ + "i"; }
  std::string attempts() const { return tag_ + "a"; }
  std::string dictionaries() const { return tag_ + "z"; }
  std::string journal() const { return tag_ + "j"; }
  std::string claim(const ClaimId& id) const { return tag_ + "c" + id.ToString(); }
  std::string part(const PartName& name) const { return tag_ + "p" + name.ToString(); }

 private:
  std::string tag_;
  std::string meta_;
};

// The shards of a namespace that have ever been taken.
std::string RegistryKey(absl::string_view name_space);

// Scratch keys of the self-test; each number has a slot of its own.
std::string ScratchKey(absl::string_view name_space, int number, absl::string_view suffix);
// The lowest number whose slot is one of `slots`; 0 where there are none.
int ScratchNumberOn(absl::string_view name_space, const std::vector<Slot>& slots);

// "<number>:<owner in hex>", as scripts compare it.
std::string EpochText(const Epoch& epoch);
Epoch EpochFromText(absl::string_view text);  // zeros where unreadable

// A member of `inflight`: "<claim id> <epoch> <lease end>". False: unreadable.
bool ParseInflight(absl::string_view member, InflightClaim& claim);

// "<part> <part> …", as in the refs hash.
std::vector<PartName> PartNamesFromText(absl::string_view text);

}  // namespace spillway::buffer

#endif  // SPILLWAY_BUFFER_REDIS_KEYS_H_
