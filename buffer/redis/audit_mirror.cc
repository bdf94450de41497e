#include "buffer/redis/audit_mirror.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "buffer/redis/keys.h"

namespace spillway::buffer {

bool AuditMirror::OnPart(Change at, const PartName& name, bool is_in_due) {
  Part& part = parts_[name];
  part.place = is_in_due ? Place::kDue : Place::kInFlight;
  part.place_at = at;
  Want(name, part);
  return at >= read_to_;
}

bool AuditMirror::OnContents(Change at, const Wanted& wanted, const Contents& contents) {
  const auto found = parts_.find(wanted.name);
  if (found == parts_.end()) return at >= read_to_;  // it has left
  Part& part = found->second;
  part.is_wanted = false;
  if (wanted.first == 0) {
    part.is_known = true;
    part.contents_at = at;
    part.entries = contents.entries;
    part.counted = 0;
    part.spans = part.undecodable = 0;
    part.references = contents.references;
  } else if (!part.is_known || wanted.first != part.counted) {
    Want(wanted.name, part);
    return at >= read_to_;
  } else if (contents.entries <= part.counted) {
    part.is_known = false;  // the list has gone: so will the part, or it is read again
  }
  const auto room = static_cast<size_t>(part.entries - part.counted);
  for (size_t i = 0; i < std::min(room, contents.heads.size()); ++i) {
    CountEntry(contents.heads[i], part);
    ++part.counted;
  }
  Want(wanted.name, part);
  WantUnlessKnown(contents.references);
  return at >= read_to_;
}

bool AuditMirror::OnRecord(absl::string_view record) {
  if (record.empty()) return false;
  const absl::string_view text = record.substr(1);
  if (record[0] == '=') {
    int64_t change = 0;
    if (!absl::SimpleAtoi(text, &change) || change != read_to_ + 1) return false;
    read_to_ = change;
    return true;
  }
  const size_t end = std::min(text.find(' '), text.size());
  return Apply(record[0], text.substr(0, end), text.substr(std::min(end + 1, text.size())));
}

bool AuditMirror::Apply(char op, absl::string_view name_text, absl::string_view rest) {
  const auto name = PartName::FromText(name_text);
  if (!name.ok()) return true;  // not ours
  if (op == 'G') {
    Leave(*name);
    return true;
  }
  Part& part = parts_[*name];
  switch (op) {
    case 'N':
    case 'A':
    case 'T':
      Move(part, Place::kDue);
      AddEntry(op, part, rest);
      break;
    case 'R': {
      const std::vector<PartName> references = PartNamesFromText(rest);
      if (part.is_known && read_to_ > part.contents_at) {
        part.references = references;
        WantUnlessKnown(references);
      }
      return true;
    }
    case 'D':
      Move(part, Place::kDue);
      break;
    case 'C':
      Move(part, Place::kInFlight);
      break;
    case 'X':
      Move(part, Place::kElsewhere);
      return true;
    default:
      return false;
  }
  Want(*name, part);
  return true;
}

void AuditMirror::Move(Part& part, Place place) {
  if (read_to_ > part.place_at) part.place = place;
}

void AuditMirror::AddEntry(char op, Part& part, absl::string_view head) {
  if (read_to_ <= part.contents_at) return;
  if (op == 'N') {
    part.is_known = true;
    part.entries = part.counted = 1;
    part.spans = part.undecodable = 0;
    part.references.clear();
  } else if (op == 'T') {
    part.is_known = false;
  }
  CountEntry(head, part);
}

void AuditMirror::CountEntry(absl::string_view head, Part& part) {
  if (const auto header = DecodeHeader(head); header.ok()) {
    part.spans += header->span_count;
  } else if (const auto chunk = decoder_.Decode(head); !chunk.ok() || !chunk->is_reference) {
    ++part.undecodable;
  }
}

void AuditMirror::Leave(const PartName& name) {
  const auto found = parts_.find(name);
  if (found == parts_.end() || read_to_ <= found->second.place_at) return;
  const std::vector<PartName> references = std::move(found->second.references);
  parts_.erase(found);
  for (const PartName& reference : references) parts_.erase(reference);
}

void AuditMirror::Want(const PartName& name, Part& part) {
  if (part.is_wanted || (part.is_known && part.counted == part.entries)) return;
  part.is_wanted = true;
  to_read_.push_back(name);
}

void AuditMirror::WantUnlessKnown(const std::vector<PartName>& names) {
  for (const PartName& name : names) Want(name, parts_[name]);
}

std::vector<AuditMirror::Wanted> AuditMirror::NextToRead(size_t most) {
  std::vector<Wanted> wanted;
  while (wanted.size() < most && !to_read_.empty()) {
    const PartName name = to_read_.front();
    to_read_.pop_front();
    const auto found = parts_.find(name);
    if (found == parts_.end()) continue;
    Part& part = found->second;
    if (part.is_known && part.counted == part.entries) {  // a record has told it
      part.is_wanted = false;
      continue;
    }
    wanted.push_back({name, part.is_known ? part.counted : 0});
  }
  return wanted;
}

std::optional<AuditReply> AuditMirror::Count() {
  AuditReply reply;
  std::vector<PartName> missing;
  const auto count = [&](const PartName& name) {
    const auto found = parts_.find(name);
    if (found == parts_.end() || !found->second.is_known ||
        found->second.counted < found->second.entries) {
      missing.push_back(name);
      return;
    }
    const Part& part = found->second;
    reply.live_spans += part.spans;
    reply.undecodable_entries += part.undecodable;
    if (part.entries == 0) ++reply.missing_lists;
  };
  for (const auto& [name, part] : parts_) {
    if (part.place == Place::kElsewhere) continue;
    ++(part.place == Place::kDue ? reply.due_parts : reply.in_flight_parts);
    count(name);
    for (const PartName& reference : part.references) count(reference);
  }
  WantUnlessKnown(missing);
  if (!missing.empty()) return std::nullopt;
  reply.is_exact = true;
  return reply;
}

}  // namespace spillway::buffer
