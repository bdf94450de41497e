// Workers that somebody else started: their way in, and what cannot be asked of them.
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "server/fleet/registration.h"
#include "server/supervisor/core.h"

namespace spillway::supervisor {
namespace {

using fleet::NoSeat;

// "pools/flush/workers/0 (pid 4711, uid 1f…)"
std::string Named(const fleet::Worker& worker) {
  return absl::StrCat(fleet::WorkerName(worker.key), " (pid ", worker.pid, ", uid ", worker.uid,
                      ")");
}

absl::Status ToRefusal(const fleet::NotSeated& refused, const wire::Hello& hello,
                       const fleet::Pool* pool) {
  const std::string name = fleet::PoolName(hello.pool);
  switch (refused.why) {
    case NoSeat::kUnknown:
      break;
    case NoSeat::kLaunched:
      return Refusal(absl::StatusCode::kFailedPrecondition, "POOL_LAUNCHED",
                     absl::StrCat(name,
                                  ": its workers are started by spillwayd (scale_owner: "
                                  "spillway)"));
    case NoSeat::kDuplicate:
      return Refusal(absl::StatusCode::kAlreadyExists, "DUPLICATE_UID",
                     absl::StrCat("this uid is ", Named(*refused.other), " already, ",
                                  refused.other->is_attached ? "attached" : "not yet given up"));
    case NoSeat::kStale:
      return Refusal(absl::StatusCode::kPermissionDenied, "STALE_GENERATION",
                     absl::StrCat(fleet::WorkerName({hello.pool, hello.slot}), ": generation ",
                                  hello.generation.value, " is over",
                                  refused.other == nullptr
                                      ? ""
                                      : absl::StrCat("; the place is ", Named(*refused.other))));
    case NoSeat::kFull:
      return Refusal(absl::StatusCode::kResourceExhausted, "POOL_FULL",
                     absl::StrCat(name, ": has its max of ", pool->max, " workers"));
  }
  return Refusal(absl::StatusCode::kNotFound, "WORKER_NOT_FOUND",
                 absl::StrCat(name, ": there is no such pool of role ",
                              hello.role == wire::Role::kIngest ? "ingest" : "flush"));
}

}  // namespace

void Supervisor::Core::Register(wire::Hello hello, std::shared_ptr<WorkerLink> link,
                                absl::AnyInvocable<void(absl::StatusOr<Attachment>)> done) {
  // What has been reported and not yet looked at may bring back whom its place is about to be
  // taken.
  TakeReports();
  HandleEvents();
  const auto judgement = fleet::JudgeRegistration(fleet_, hello);
  if (const auto* refused = std::get_if<fleet::NotSeated>(&judgement)) {
    return done(ToRefusal(*refused, hello, fleet::FindPool(fleet_, hello.pool)));
  }
  const auto& seat = std::get<fleet::Seat>(judgement);
  // A stopped process whose place goes to another one may have a stream that still stands.
  if (Link* former = FindLink(seat.worker)) {
    const std::shared_ptr<WorkerLink> stream = former->link;
    std::erase_if(links_, [&](const auto& entry) { return entry.second.link == stream; });
    stream->Close(Refusal(absl::StatusCode::kPermissionDenied, "STALE_GENERATION",
                          absl::StrCat(fleet::WorkerName(seat.worker), ": has been replaced")));
  }
  hello.slot = seat.worker.slot;
  hello.generation = seat.generation;
  fleet::WorkerRegistered event{
      seat.worker,
      seat.generation,
      {hello.pid, hello.uid, hello.version, hello.config_digest, seat.is_known}};
  Accept(hello, std::move(link), std::move(event), std::move(done));
}

absl::Status Supervisor::Core::CheckLaunched(const fleet::WorkerKey& worker) const {
  const auto found = fleet_.workers.find(worker);
  if (found == fleet_.workers.end() || !found->second.is_registered) return absl::OkStatus();
  return Refusal(
      absl::StatusCode::kFailedPrecondition, "NOT_LAUNCHED",
      absl::StrCat(fleet::WorkerName(worker), ": was not started by spillwayd, ask where it runs"));
}

absl::Status Supervisor::Core::CheckLaunched(const fleet::Event& verb,
                                             const fleet::Pool& pool) const {
  const bool needs_processes = std::holds_alternative<fleet::PoolStopped>(verb) ||
                               std::holds_alternative<fleet::PoolRestarted>(verb);
  if (!needs_processes || !fleet::IsExternal(pool)) return absl::OkStatus();
  return Refusal(absl::StatusCode::kFailedPrecondition, "NOT_LAUNCHED",
                 absl::StrCat(fleet::PoolName(pool.name),
                              ": its workers are started elsewhere (scale_owner: external): stop "
                              "or restart them there, or pause the pool"));
}

}  // namespace spillway::supervisor
