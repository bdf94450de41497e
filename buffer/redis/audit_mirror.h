// What an audit knows of a shard: read piece by piece while the shard is at work, and yet exact.
//
// Each piece is read at an instant of its own, at a value of the shard's change counter, and every
// script that changes what is live writes into a journal what it has changed, under the value it
// has given to the counter (buffer/scripts/journal.lua). So of each piece it is known which records
// it shows already: those up to its value. The others are applied to it. What nothing has been read
// of yet and a record names is read by name. When every piece has been read, the mirror holds just
// what was live at the change read to last, whatever came and left meanwhile: like a copy of a
// database that is made while it is written, and its log.
//
// Pure. What is read at a change comes before the records behind that change (the server executes
// the calls in the order they are sent); if not, or if a change is missing in the journal, somebody
// does not write what he changes: then nothing is known, which is said.
#ifndef SPILLWAY_BUFFER_REDIS_AUDIT_MIRROR_H_
#define SPILLWAY_BUFFER_REDIS_AUDIT_MIRROR_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "buffer/chunk/chunk.h"
#include "buffer/shard_store.h"

namespace spillway::buffer {

class AuditMirror {
 public:
  // One value of the shard's change counter.
  using Change = int64_t;

  // What one part held at a change.
  struct Contents {
    std::vector<PartName> references;
    int64_t entries = 0;                   // in all
    std::vector<absl::string_view> heads;  // how those begin that were asked for
  };
  // The entries of a part from `first` on are to be read.
  struct Wanted {
    PartName name;
    int64_t first = 0;
  };

  explicit AuditMirror(Change begin) : read_to_(begin) {}

  // A part was due, or in flight. These three answer whether all is well so far.
  bool OnPart(Change at, const PartName& name, bool is_in_due);
  bool OnContents(Change at, const Wanted& wanted, const Contents& contents);
  bool OnRecord(absl::string_view record);

  Change read_to() const { return read_to_; }

  // Some of what is still to be read; each is told once.
  std::vector<Wanted> NextToRead(size_t most);
  bool HasToRead() const { return !to_read_.empty(); }

  // What was live at read_to(): the counts of an AuditReply. Nothing: there is more to read.
  // REQUIRES: all parts were read, and all records of that change.
  std::optional<AuditReply> Count();

 private:
  enum class Place { kElsewhere, kDue, kInFlight };  // elsewhere: absorbed, or not known to be live

  struct Part {
    Place place = Place::kElsewhere;
    bool is_known = false;   // what it holds, but for entries from `counted` on
    bool is_wanted = false;  // in to_read_, or being read
    Change place_at = 0;     // records up to these are in what was read
    Change contents_at = 0;
    int64_t entries = 0;  // at contents_at
    int64_t counted = 0;  // of them
    uint64_t spans = 0;
    uint64_t undecodable = 0;
    std::vector<PartName> references;
  };

  bool Apply(char op, absl::string_view name_text, absl::string_view rest);
  void AddEntry(char op, Part& part, absl::string_view head);
  void Move(Part& part, Place place);
  void Leave(const PartName& name);
  void CountEntry(absl::string_view head, Part& part);
  void Want(const PartName& name, Part& part);
  void WantUnlessKnown(const std::vector<PartName>& names);

  absl::flat_hash_map<PartName, Part> parts_;
  std::deque<PartName> to_read_;
  Change read_to_;
  ChunkDecoder decoder_;
};

}  // namespace spillway::buffer

#endif  // SPILLWAY_BUFFER_REDIS_AUDIT_MIRROR_H_
