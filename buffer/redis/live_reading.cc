#include "buffer/redis/live_reading.h"

#include <algorithm>

#include "base/failpoint.h"
#include "buffer/chunk/chunk.h"
#include "buffer/redis/due_score.h"

namespace spillway::buffer {
namespace {

constexpr uint64_t kPartsPerPage = 1000;
// Asked for at a time: however many parts there are said to be, no more than come.
constexpr uint64_t kPagesAhead = 4;
constexpr size_t kHeadersPerPage = 200;

}  // namespace

void LiveReading::Begin() {
  live_ = LiveParts();
  open_.clear();
  WantPage(0);
  Then([this] { OnListed(); });
}

void LiveReading::WantPage(uint64_t rank) {
  Command command(scripts::kLive, 4, 3);
  command.AddAll({keys_.meta(), keys_.due(), keys_.references(), keys_.inflight(), epoch_});
  command.Add(static_cast<int64_t>(rank)).Add(static_cast<int64_t>(kPartsPerPage));
  Want(std::move(command), [this, rank](const Reply& reply) {
    AddParts(reply[3], true);
    const uint64_t count = reply[3].size() < 3 * kPartsPerPage ? 0 : reply[2].count();
    if (rank != 0) {
      if (rank + kPagesAhead * kPartsPerPage < count) WantPage(rank + kPagesAhead * kPartsPerPage);
      return;
    }
    live_.clock = {reply[1].integer()};
    for (uint64_t page = 1; page <= kPagesAhead && page * kPartsPerPage < count; ++page) {
      WantPage(page * kPartsPerPage);
    }
    for (size_t i = 0; i < reply[4].size(); ++i) {
      InflightClaim claim;
      if (ParseInflight(reply[4][i].text(), claim)) WantClaim(claim.id);
    }
  });
}

void LiveReading::WantClaim(const ClaimId& id) {
  Command command(scripts::kClaimed, 3, 0);
  command.AddAll({keys_.meta(), keys_.references(), keys_.claim(id)});
  Want(std::move(command), [this](const Reply& reply) { AddParts(reply[1], false); });
}

void LiveReading::AddParts(const Reply& rows, bool is_in_due) {
  for (size_t i = 0; i + 2 < rows.size(); i += 3) {
    const auto name = PartName::FromText(rows[i].text());
    if (!name.ok()) continue;  // not ours; a claim of it fails and is counted
    live_.parts.push_back({.name = *name,
                           .deadline = DeadlineOfScore(rows[i + 1].integer()),
                           .is_in_due = is_in_due,
                           .references = PartNamesFromText(rows[i + 2].text()),
                           .last_chunk_prefix = {}});
  }
}

void LiveReading::OnListed() {
  SPILLWAY_FAILPOINT("ingest.take.listed");
  for (size_t i = 0; i < live_.parts.size(); ++i) {
    const LivePartRecord& part = live_.parts[i];
    if (part.is_in_due && part.deadline > live_.clock) open_.push_back(i);
  }
  for (size_t first = 0; first < open_.size(); first += kHeadersPerPage) {
    WantHeaders(first, std::min(first + kHeadersPerPage, open_.size()));
  }
}

void LiveReading::WantHeaders(size_t first, size_t last) {
  Command command(scripts::kTails, 1 + last - first, 1);
  command.Add(keys_.meta());
  for (size_t i = first; i < last; ++i) command.Add(keys_.part(live_.parts[open_[i]].name));
  command.Add(static_cast<int64_t>(kMaxHeaderBytes));
  Want(std::move(command), [this, first, last](const Reply& reply) {
    for (size_t i = first; i < last; ++i) {
      live_.parts[open_[i]].last_chunk_prefix = std::string(reply[1 + i - first].text());
    }
  });
}

void LiveReading::End(StoreCode code, std::string message) {
  SPILLWAY_FAILPOINT("ingest.take.read");
  live_.code = code;
  live_.message = std::move(message);
  done_(std::move(live_));
}

}  // namespace spillway::buffer
