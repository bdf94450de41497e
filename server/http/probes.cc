#include "server/http/probes.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace spillway::http {
namespace {

std::string Line(const supervisor::Check& check, Instant now) {
  std::string line =
      absl::StrCat(check.ok ? "[+]" : "[-]", check.name, check.ok ? " ok" : " not ready");
  if (!check.detail.empty()) absl::StrAppend(&line, ": ", check.detail);
  if (check.seen_at != Instant()) {
    const double age = std::chrono::duration<double>(now - check.seen_at).count();
    absl::StrAppend(&line, absl::StrFormat(" (seen %.1f s ago)", age));
  }
  return line + "\n";
}

}  // namespace

ProbeAnswer Readiness(const supervisor::FleetSnapshot& snapshot, Instant now, bool verbose) {
  ProbeAnswer answer;
  answer.ok = supervisor::IsReady(snapshot) && !snapshot.is_stopping;
  for (const supervisor::Check& check : snapshot.checks) {
    if (verbose || !check.ok) answer.text += Line(check, now);
  }
  if (snapshot.is_stopping) answer.text += "[-]server not ready: stopping\n";
  answer.text += answer.ok ? "ready\n" : "not ready\n";
  return answer;
}

}  // namespace spillway::http
