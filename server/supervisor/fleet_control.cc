#include "server/supervisor/fleet_control.h"

#include "absl/strings/cord.h"

namespace spillway::supervisor {
namespace {

constexpr absl::string_view kReasonUrl = "spillway/reason";

}  // namespace

absl::Status Refusal(absl::StatusCode code, absl::string_view reason, absl::string_view message) {
  absl::Status status(code, message);
  status.SetPayload(kReasonUrl, absl::Cord(reason));
  return status;
}

absl::Status ServerStopping() {
  return Refusal(absl::StatusCode::kUnavailable, "SERVER_STOPPING", "the server is stopping");
}

std::string RefusalReason(const absl::Status& status) {
  const absl::optional<absl::Cord> reason = status.GetPayload(kReasonUrl);
  return reason ? std::string(*reason) : "";
}

}  // namespace spillway::supervisor
