#include "buffer/redis/auditing.h"

#include <random>

#include "absl/strings/str_cat.h"
#include "buffer/ledger.h"
#include "buffer/redis/store_result.h"

namespace spillway::buffer {
namespace {

std::string RandomId() {
  std::random_device random;
  return HexText((uint64_t{random()} << 32) | random());
}

}  // namespace

Auditing::Auditing(Loop& loop, RedisRoute route, ShardKeys keys, ShardId shard,
                   Done<AuditReply> done, AuditSteps steps)
    : route_(route),
      keys_(std::move(keys)),
      shard_(shard),
      steps_(steps),
      deadline_(SystemClock().Now() + kAuditTimeLimit),
      id_(RandomId()),
      pause_(loop, [this] { Begin(); }),
      done_(std::move(done)) {}

// ---- steps --------------------------------------------------------------------------------------

void Auditing::AddStep(Command& command) { command.Add(id_).Add(++step_).Add(kLease.count()); }

void Auditing::Send(Command command, Handler handler) {
  ++outstanding_;
  ++since_reading_;
  route_.Send(std::move(command),
              [self = shared_from_this(), round = round_,
               handler = std::move(handler)](const CommandResult& result) mutable {
                if (!self->done_ || round != self->round_) return;
                --self->outstanding_;
                if (!result.ok()) return self->Fail(result.code, result.message);
                const Reply& reply = result.reply;
                self->Expect(!reply[0].text().empty());  // else the audit has been ended
                if (self->is_well_) handler(reply[0].integer(), reply);
                if (!self->done_) return;
                if (!self->is_well_) return self->BeginAgain();
                self->Pump();
              });
}

void Auditing::Expect(bool is_well) { is_well_ = is_well_ && is_well; }

void Auditing::Begin() {
  ++round_;
  is_well_ = true;
  outstanding_ = readings_ = since_reading_ = 0;
  is_behind_ = is_paging_ = has_all_names_ = false;
  claims_.clear();
  foreign_names_.clear();
  cursor_ = "0";
  Command command(scripts::kAuditbegin, 5, 3);
  command.AddAll(
      {keys_.meta(), keys_.due(), keys_.references(), keys_.inflight(), keys_.journal()});
  AddStep(command);
  route_.Send(std::move(command), [self = shared_from_this()](const CommandResult& result) {
    if (!result.ok()) return self->Fail(result.code, result.message);
    self->OnBegun(result.reply);
  });
}

void Auditing::OnBegun(const Reply& reply) {
  summary_ = ReadSummary(reply[1]);
  if (!summary_.exists) return Fail(StoreCode::kInvalid, "the answer is not one of an audit");
  if (reply[0].text().empty()) {  // another audit is under way
    --round_;
    if (SystemClock().Now() >= deadline_) return GiveUp();
    return pause_.Start(kPause);
  }
  mirror_.emplace(reply[0].integer());
  for (size_t i = 0; i < reply[2].size(); ++i) {
    InflightClaim claim;
    if (ParseInflight(reply[2][i].text(), claim)) claims_.push_back(claim.id);
  }
  Pump();
}

void Auditing::BeginAgain() {
  if (round_ >= kMaxRounds || SystemClock().Now() >= deadline_) return GiveUp();
  Begin();
}

void Auditing::Pump() {
  if (SystemClock().Now() >= deadline_) return GiveUp();
  while (outstanding_ < kMaxOutstanding && SendNext()) {
  }
}

// The walk first. When it waits for nothing, the journal, until its end is read: in several steps
// at once if one does not come that far, so that a shard cannot change faster than it is read.
bool Auditing::SendNext() {
  if (readings_ == 0 && since_reading_ >= kStepsPerReading) return SendReading(), true;
  if (!claims_.empty()) return SendClaim(), true;
  if (auto wanted = mirror_->NextToRead(steps_.parts); !wanted.empty()) {
    return SendParts(std::move(wanted)), true;
  }
  if (!is_paging_ && !has_all_names_) return SendNames(), true;
  if (outstanding_ > readings_) return false;
  if (readings_ > 0 && !is_behind_) return false;
  return SendReading(), true;
}

void Auditing::SendNames() {
  is_paging_ = true;
  Command command(scripts::kAuditnames, 2, 5);
  command.AddAll({keys_.meta(), keys_.due()});
  AddStep(command);
  command.Add(cursor_).Add(static_cast<int64_t>(steps_.names));
  Send(std::move(command), [this](AuditMirror::Change at, const Reply& reply) {
    is_paging_ = false;
    cursor_ = std::string(reply[1].text());
    has_all_names_ = cursor_ == "0";
    for (size_t i = 0; i < reply[2].size(); ++i) {
      const auto name = PartName::FromText(reply[2][i].text());
      if (!name.ok()) {
        foreign_names_.insert(std::string(reply[2][i].text()));
      } else {
        Expect(mirror_->OnPart(at, *name, true));
      }
    }
  });
}

void Auditing::SendClaim() {
  Command command(scripts::kAuditclaim, 2, 3);
  command.AddAll({keys_.meta(), keys_.claim(claims_.front())});
  claims_.pop_front();
  AddStep(command);
  Send(std::move(command), [this](AuditMirror::Change at, const Reply& reply) {
    for (size_t i = 0; i < reply[1].size(); ++i) {
      const auto name = PartName::FromText(reply[1][i].text());
      if (name.ok()) Expect(mirror_->OnPart(at, *name, false));
    }
  });
}

void Auditing::SendParts(std::vector<AuditMirror::Wanted> wanted) {
  Command command(scripts::kAuditparts, 2 + wanted.size(), 5 + 2 * wanted.size());
  command.AddAll({keys_.meta(), keys_.references()});
  for (const AuditMirror::Wanted& part : wanted) command.Add(keys_.part(part.name));
  AddStep(command);
  command.Add(static_cast<int64_t>(kMaxHeaderBytes)).Add(static_cast<int64_t>(steps_.entries));
  for (const AuditMirror::Wanted& part : wanted) {
    command.Add(part.name.ToString()).Add(part.first);
  }
  Send(std::move(command),
       [this, wanted = std::move(wanted)](AuditMirror::Change at, const Reply& reply) {
         OnParts(at, reply, wanted);
       });
}

void Auditing::OnParts(AuditMirror::Change at, const Reply& reply,
                       const std::vector<AuditMirror::Wanted>& wanted) {
  size_t i = 1;
  for (const AuditMirror::Wanted& part : wanted) {
    AuditMirror::Contents contents;
    contents.references = PartNamesFromText(reply[i].text());
    contents.entries = reply[i + 1].integer();
    const size_t last = i + 2 + reply[i + 2].count();
    if (i + 2 >= reply.size() || last >= reply.size()) return Expect(false);
    for (i += 3; i <= last; ++i) contents.heads.push_back(reply[i].text());
    Expect(mirror_->OnContents(at, part, contents));
  }
}

void Auditing::SendReading() {
  ++readings_;
  Command command(scripts::kAuditread, 4, 4);
  command.AddAll({keys_.meta(), keys_.due(), keys_.inflight(), keys_.journal()});
  AddStep(command);
  command.Add(static_cast<int64_t>(steps_.records));
  Send(std::move(command),
       [this](AuditMirror::Change at, const Reply& reply) { OnRead(at, reply); });
  since_reading_ = 0;
}

void Auditing::OnRead(AuditMirror::Change at, const Reply& reply) {
  --readings_;
  for (size_t i = 0; i < reply[1].size() && is_well_; ++i) {
    Expect(mirror_->OnRecord(reply[1][i].text()));
  }
  is_behind_ = reply.size() < 3;
  if (is_behind_ || !is_well_) return;
  summary_ = ReadSummary(reply[2]);
  Expect(mirror_->read_to() == at);
  if (is_well_) FinishIfAllIsRead();
}

// The journal's end has been read: the mirror is of the instant of `summary_`.
void Auditing::FinishIfAllIsRead() {
  if (!has_all_names_ || !claims_.empty() || outstanding_ > readings_ || mirror_->HasToRead()) {
    return;
  }
  std::optional<AuditReply> reply = mirror_->Count();
  if (!reply.has_value()) return;
  // All that the mirror has is there, so it has all if it is as many. It may lack some where
  // another server has taken over in the middle of the walk: a cursor means something to its server
  // only.
  if (reply->due_parts + foreign_names_.size() != summary_.due_parts) return Expect(false);
  reply->summary = summary_;
  End(Succeeded(Compared(*std::move(reply))));
}

// ---- ends ---------------------------------------------------------------------------------------

void Auditing::GiveUp() {
  AuditReply reply;
  reply.summary = summary_;
  End(Succeeded(std::move(reply)));
}

void Auditing::Fail(StoreCode code, std::string message) {
  if (code == StoreCode::kNoShard) {  // a finding, not an error
    AuditReply reply;
    reply.is_exact = true;
    return End(Succeeded(std::move(reply)));
  }
  End({.code = code,
       .value = {},
       .message = absl::StrCat("shard ", shard_.value, ": ", std::move(message))});
}

void Auditing::End(StoreResult<AuditReply> result) {
  if (result.ok() && result.value.summary.exists) {
    Command command(scripts::kAuditend, 2, 1);
    command.AddAll({keys_.meta(), keys_.journal(), id_});
    route_.Send(std::move(command), [](const CommandResult&) {});  // else its lease ends
  }
  const std::shared_ptr<Auditing> keep = shared_from_this();
  std::exchange(done_, nullptr)(std::move(result));
}

}  // namespace spillway::buffer
