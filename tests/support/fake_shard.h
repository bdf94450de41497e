// What the fake span buffer holds for one shard, and what single calls change of it.
#ifndef SPILLWAY_TESTS_SUPPORT_FAKE_SHARD_H_
#define SPILLWAY_TESTS_SUPPORT_FAKE_SHARD_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "buffer/clock_marks.h"
#include "buffer/shard_store.h"

namespace spillway::buffer {

// What one shard's keys hold. Public for tests to look at, and to damage.
struct FakeShard {
  struct ClaimState {
    Epoch epoch;
    WallTime lease_end;
    std::vector<std::pair<PartName, EventTime>> parts;
  };
  uint32_t incarnation = 1;
  InputIdentity input;
  Epoch ingest_epoch, flush_epoch;
  Offset watermark = 0;
  EventTime clock;
  ClockMarks marks;
  Ledger ledger;
  Offset gap_end = 0;          // offsets below are counted as unreplayable already
  Offset resurrected_end = 0;  // parts below are counted as resurrected already
  std::map<PartName, EventTime> due;
  std::map<PartName, std::vector<std::string>> lists;
  std::map<PartName, std::vector<PartName>> references;
  std::map<PartName, uint32_t> attempts;
  std::map<ClaimId, ClaimState> claims;
  std::map<uint32_t, std::shared_ptr<const Dictionary>> dictionaries;
  uint32_t last_dictionary = 0;  // stored last
  uint64_t drop_revision = 0;
  std::string drop_rules;

  std::optional<EventTime> LowestOutstanding() const;
  uint64_t Backlog() const;
  // Lowest first offset of a live part of this incarnation, references included.
  Offset LowestLiveOffset() const;
  // Whether every list entry can be decoded with what is here.
  bool HasItsDictionaries() const;
};

// ---- for the fake store

// visit(name, deadline, is_in_due) of every part that is due or in flight.
template <typename Visit>
void VisitLive(const FakeShard& shard, Visit visit) {
  for (const auto& [name, deadline] : shard.due) visit(name, deadline, true);
  for (const auto& [id, claim] : shard.claims) {
    for (const auto& [name, deadline] : claim.parts) visit(name, deadline, false);
  }
}

bool Differs(const InputIdentity& stored, const InputIdentity& found);
void FillIn(InputIdentity& stored, const InputIdentity& found);
Offset LowestOffset(const FakeShard& shard, const PartName& name);  // references included
std::vector<PartName> ReferencesOf(const FakeShard& shard, const PartName& name);
uint64_t LengthOf(const FakeShard& shard, const PartName& name);  // of the list
std::string HeaderPrefix(const FakeShard& shard, const PartName& name);
uint64_t SpansIn(const FakeShard& shard, const PartName& name);
void StartNewIncarnation(FakeShard& shard);
bool Writes(const AddRequest& request);
void AppendPart(FakeShard& shard, const AddPart& part);
Claim DescribeClaim(const FakeShard& shard, const ClaimId& id, bool counts_entries, WallTime now);
void OrphanPart(FakeShard& shard, const PeekedPart& part);
bool IsWhole(const FakeShard& shard, const FakeShard::ClaimState& claim,
             const AcknowledgeRequest& request);
// Puts the dictionaries that the loaded entries name on `shelf`, those that are here. A part that
// has gone with its dictionary is not complete.
void FetchDictionaries(const ClaimedPart& part, const FakeShard& shard, LoadedPart& loaded,
                       DictionaryShelf& shelf);

}  // namespace spillway::buffer

#endif  // SPILLWAY_TESTS_SUPPORT_FAKE_SHARD_H_
