// The journal and the deaths.
#include <algorithm>

#include "client/commands/commands.h"

namespace spillway::client {
namespace {

constexpr std::chrono::hours kForEver{24 * 365};

}  // namespace

ExitCode GetEvents(Session& session, const Page& page) {
  const auto answer = session.client.ListEvents(page.limit, page.token);
  if (!answer.ok()) return Fail(session, answer.error);
  Printer(session.format, session.out).Events(answer.value);
  return kExitDone;
}

ExitCode FollowEvents(Session& session, const Page& page) {
  Printer printer(session.format, session.out);
  const auto first = session.client.ListEvents(page.limit, page.token);
  if (!first.ok()) return Fail(session, first.error);
  printer.Events(first.value);
  session.out << std::flush;
  int64_t seen = first.value.events().empty() ? 0 : first.value.events(0).sequence();
  // The fleet's changes are when to look again; each worker's report is one.
  const auto look = [&](const v1::WatchFleetResponse&) {
    v1::ListEventsResponse news;
    std::string token;
    do {
      const auto answer = session.client.ListEvents(page.limit, token);
      if (!answer.ok()) return false;  // asked again with the next change
      token = answer.value.next_page_token();
      for (const v1::Event& event : answer.value.events()) {
        if (event.sequence() <= seen) token.clear();
        if (event.sequence() > seen) *news.add_events() = event;
      }
    } while (!token.empty());
    if (news.events().empty()) return false;
    seen = news.events(0).sequence();
    printer.Events(news, false);
    session.out << std::flush;
    return false;
  };
  return Fail(session, session.client.Watch(SystemClock().Now() + kForEver, look));
}

ExitCode GetDeaths(Session& session, const std::string& pool, const Page& page) {
  const std::string parent = pool.empty() ? "pools/-" : PoolResource(pool);
  const auto answer = session.client.ListDeaths(parent, page.limit, page.token);
  if (!answer.ok()) return Fail(session, answer.error);
  Printer(session.format, session.out).Deaths(answer.value);
  return kExitDone;
}

}  // namespace spillway::client
