// CPU per span of parsing and of editing; spans of about 1 kB as the load tool makes them.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <string>

#include "worker/span/span.h"
#include "worker/span/splice.h"

namespace spillway::span {
namespace {

std::string TypicalSpan(size_t bytes) {
  std::string json =
      R"({"organization_id":1,"project_id":42,"trace_id":"0123456789abcdef0123456789abcdef",)"
      R"("span_id":"bbbbbbbbbbbbbbbb","parent_span_id":"aaaaaaaaaaaaaaaa",)"
      R"("start_timestamp":1700000000.059232,"end_timestamp":1700000000.186347,)"
      R"("received":1700000001.059232,"retention_days":90,"status":"ok","is_segment":false,)"
      R"("name":"GET /checkout","attributes":{)";
  for (int i = 0; json.size() + 90 < bytes; ++i) {
    json += "\"http.attribute." + std::to_string(i) +
            R"(":{"type":"string","value":"a value of some length"},)";
  }
  return json + R"("server.address":{"type":"string","value":"localhost"}},"kind":"server"})";
}

void BM_Parse(benchmark::State& state) {
  const std::string message = TypicalSpan(static_cast<size_t>(state.range(0)));
  SpanParser parser;
  for (auto _ : state) {
    auto result = parser.Parse(message);
    if (!std::holds_alternative<Span>(result)) std::abort();
    benchmark::DoNotOptimize(result);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(message.size()));
}
BENCHMARK(BM_Parse)->Arg(500)->Arg(1000)->Arg(4000);

void BM_AppendEdited(benchmark::State& state) {
  const std::string message = TypicalSpan(static_cast<size_t>(state.range(0)));
  const Span span = std::get<Span>(SpanParser().Parse(message));
  const buffer::ChunkSpan chunk_span = {.id = span.id,
                                        .is_segment = span.is_segment,
                                        .segment_id = span.segment_id,
                                        .bytes = message};
  std::string out;
  for (auto _ : state) {
    out.clear();
    AppendEdited(chunk_span, span.parent, out);
    benchmark::DoNotOptimize(out);
  }
}
BENCHMARK(BM_AppendEdited)->Arg(1000);

}  // namespace
}  // namespace spillway::span

BENCHMARK_MAIN();
