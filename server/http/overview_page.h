// The page at "/": pools, workers and shards, read again every two seconds.
#ifndef SPILLWAY_SERVER_HTTP_OVERVIEW_PAGE_H_
#define SPILLWAY_SERVER_HTTP_OVERVIEW_PAGE_H_

namespace spillway::http {

extern const char kOverviewPage[];

}  // namespace spillway::http

#endif  // SPILLWAY_SERVER_HTTP_OVERVIEW_PAGE_H_
