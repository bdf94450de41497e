#include "tests/load/span_text.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "base/check.h"
#include "tests/support/seeded_random.h"

namespace spillway::load {
namespace {

using test_support::SeededRandom;

void Add(std::string& out, absl::string_view text) { out.append(text.data(), text.size()); }

void AddHex(std::string& out, uint64_t value, bool upper = false) {
  const char* digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
  std::array<char, 16> text;
  for (size_t i = 16; i-- > 0; value >>= 4) text[i] = digits[value & 15];
  out.append(text.data(), text.size());
}

void AddNumber(std::string& out, uint64_t value, size_t min_digits = 1) {
  std::array<char, 20> text;
  size_t at = text.size();
  while (value > 0 || text.size() - at < min_digits) {
    text[--at] = static_cast<char>('0' + value % 10);
    value /= 10;
  }
  out.append(text.data() + at, text.size() - at);
}

void AddSeconds(std::string& out, int64_t us) {
  AddNumber(out, static_cast<uint64_t>(us) / 1'000'000);
  out += '.';
  AddNumber(out, static_cast<uint64_t>(us) % 1'000'000, 6);
}

void AddTraceId(std::string& out, const Trace& trace) {
  const bool upper = trace.id_form == TraceIdForm::kUpperCase;
  const size_t start = out.size();
  AddHex(out, trace.high, upper);
  AddHex(out, trace.low, upper);
  if (trace.id_form != TraceIdForm::kDashes) return;
  for (const size_t at : {20u, 16u, 12u, 8u}) out.insert(start + at, 1, '-');
}

struct Operation {
  absl::string_view name;
  absl::string_view kind;
  absl::string_view attributes;  // ends with a comma
  absl::string_view frames;      // the innermost of its stack, for the shapes of fixed size
};

constexpr std::array<Operation, 6> kOperations = {{
    {"GET /api/v1/orders/{order_id}", "server",
     R"("http.request.method":{"type":"string","value":"GET"},"http.route":{"type":"string","value":"/api/v1/orders/{order_id}"},"sentry.op":{"type":"string","value":"http.server"},)",
     "orders.views.show:88 < orders.store.load:214"},
    {"POST /api/v1/carts", "client",
     R"("http.request.method":{"type":"string","value":"POST"},"url.full":{"type":"string","value":"https://checkout.example.com/api/v1/carts?expand=items"},"sentry.op":{"type":"string","value":"http.client"},)",
     "carts.api.create:57 < billing.quote.total:139"},
    {"SELECT orders", "client",
     R"("db.system":{"type":"string","value":"postgresql"},"db.statement":{"type":"string","value":"SELECT id, total, currency FROM orders WHERE customer_id = %s ORDER BY created_at DESC LIMIT 50"},"sentry.op":{"type":"string","value":"db"},)",
     "db.cursor.execute:73 < orders.query.recent:41"},
    {"GET cart:*", "client",
     R"("db.system":{"type":"string","value":"redis"},"cache.hit":{"type":"boolean","value":true},"sentry.op":{"type":"string","value":"cache.get"},)",
     "redis.pool.call:126 < carts.cache.peek:65"},
    {"orders publish", "producer",
     R"("messaging.system":{"type":"string","value":"kafka"},"messaging.destination.name":{"type":"string","value":"orders"},"sentry.op":{"type":"string","value":"queue.publish"},)",
     "kafka.producer.send:92 < outbox.relay.flush:37"},
    {"render_template", "internal",
     R"("template.name":{"type":"string","value":"orders/detail.html"},"sentry.op":{"type":"string","value":"template.render"},)",
     "jinja.compiled.root:19 < pages.detail.render:150"},
}};

// A layer of a service, which runs the next one.
constexpr absl::string_view kLayerFrame = " < service.run:31";

// What makes parsers stumble, ready to stand in a JSON string.
constexpr std::array<absl::string_view, 6> kOddTexts = {
    R"(line one\nline two\ttabbed)",
    R"(\"quoted\" and a back\\slash \/ slash)",
    "na\xc3\xafve caf\xc3\xa9 \xe2\x98\x83 \xf0\x9f\x9a\x80",
    R"(\u00e9\ud83d\ude80\u0000)",
    R"({\"is_segment\":true,\"attributes\":{}})",
    R"(},{\"spans\":[)",
};

constexpr absl::string_view kOddFields =
    R"(,"measurements":{"lcp":{"value":1e3,"unit":"ms"},"big":12345678901234567890,"zero":-0.0})"
    R"(,"_meta":{"spans":[null,{"is_segment":[{}]},[[]]],"attributes":{"":{"len":3}}})";

// Text for padding, without anything JSON would have to escape.
const std::string& PadText() {
  static const std::string* const text = [] {
    constexpr std::array<absl::string_view, 24> kWords = {
        "connect", "timeout", "handler", "in",    "module",  "app.orders", "line",   "retry",
        "await",   "cursor",  "fetch",   "at",    "session", "commit",     "return", "value",
        "request", "worker",  "pool",    "queue", "with",    "lock",       "0x7f",   "frame"};
    SeededRandom random(17);
    auto* made = new std::string;
    while (made->size() < 64 * 1024) {
      Add(*made, kWords[random.Below(kWords.size())]);
      if (random.Chance(0.15)) AddNumber(*made, random.Below(1'000));
      *made += ' ';
    }
    return made;
  }();
  return *text;
}

absl::string_view Pad(SeededRandom& random, size_t size) {
  const std::string& text = PadText();
  CHECK(size < text.size(), "padding is cut from one text");
  return absl::string_view(text).substr(random.Below(text.size() - size), size);
}

// Most spans carry no long text, a few a stack or a statement of up to 3 kB.
size_t RealisticPadBytes(SeededRandom& random) {
  const uint64_t draw = random.Below(100);
  if (draw < 60) return random.Below(200);
  if (draw < 90) return 200 + random.Below(600);
  return 800 + random.Below(1'900);
}

class SpanWriter {
 public:
  SpanWriter(Shape shape, const Trace& trace, const PlannedSpan& span, std::string& out)
      : is_realistic_(shape == Shape::kRealistic),
        trace_(trace),
        span_(span),
        service_(ServiceOf(span)),
        out_(out),
        random_(trace.seed ^ (0x9e3779b97f4a7c15u * (span.index + 1))),
        operation_(kOperations[random_.Below(kOperations.size())]) {}

  void Write() {
    out_.clear();
    const uint64_t layout = is_realistic_ ? random_.Below(100) : 99;
    is_spaced_ = layout == 0;
    const bool flag_first = layout < 4;
    const bool attributes_first = layout >= 4 && layout < 8;
    out_ += '{';
    if (flag_first) AddIsSegment();
    if (attributes_first) AddAttributes();
    AddIdentity();
    AddTimes();
    if (!flag_first) AddIsSegment();
    if (!attributes_first) AddAttributes();
    if (is_realistic_ && random_.Chance(0.02)) Add(out_, kOddFields);
    AddKey("kind");
    AddText(operation_.kind);
    Add(out_, is_spaced_ ? " }" : "}");
    if (!is_realistic_) FillUp();
  }

 private:
  void AddKey(absl::string_view key) {
    if (out_.size() > 1) Add(out_, is_spaced_ ? ", " : ",");
    AddText(key);
    Add(out_, is_spaced_ ? ": " : ":");
  }

  void AddText(absl::string_view text) {
    out_ += '"';
    Add(out_, text);
    out_ += '"';
  }

  void AddIdentity() {
    AddKey("organization_id");
    AddNumber(out_, kOrganizationId);
    AddKey("project_id");
    AddNumber(out_, service_.project_id);
    AddKey("trace_id");
    out_ += '"';
    AddTraceId(out_, trace_);
    out_ += '"';
    AddKey("span_id");
    AddId(span_.id);
    if (span_.has_parent) {
      AddKey("parent_span_id");
      AddId(span_.parent_id);
    } else if (is_realistic_) {
      const uint64_t form = random_.Below(3);
      if (form > 0) AddKey("parent_span_id");
      if (form > 0) Add(out_, form == 1 ? "null" : R"("")");
    }
    AddKey("name");
    AddText(operation_.name);
  }

  void AddId(uint64_t id) {
    out_ += '"';
    AddHex(out_, id);
    out_ += '"';
  }

  void AddTimes() {
    const int64_t start = trace_.start_us + static_cast<int64_t>(span_.index * 211);
    const int64_t end = start + 150 + static_cast<int64_t>(random_.Below(400'000));
    AddKey("start_timestamp");
    if (is_realistic_ && random_.Chance(0.01)) {
      AddNumber(out_, static_cast<uint64_t>(start) / 1'000'000);
    } else {
      AddSeconds(out_, start);
    }
    AddKey("end_timestamp");
    AddSeconds(out_, end);
    AddKey("received");
    AddSeconds(out_, end + 20'000);
    AddKey("retention_days");
    AddNumber(out_, 90);
    AddKey("status");
    AddText(random_.Chance(0.02) ? "internal_error" : "ok");
  }

  void AddIsSegment() {
    switch (span_.is_segment) {
      case IsSegmentForm::kMissing:
        return;
      case IsSegmentForm::kNull:
        AddKey("is_segment");
        return Add(out_, "null");
      case IsSegmentForm::kFalse:
        AddKey("is_segment");
        return Add(out_, "false");
      case IsSegmentForm::kTrue:
        AddKey("is_segment");
        return Add(out_, "true");
    }
  }

  void AddAttributes() {
    if (span_.attributes == AttributesForm::kMissing) return;
    AddKey("attributes");
    if (span_.attributes == AttributesForm::kNull) return Add(out_, "null");
    if (span_.attributes == AttributesForm::kWithoutId && span_.is_empty) return Add(out_, "{}");
    out_ += '{';
    AddFullAttributes();
    out_ += '}';
  }

  void AddFullAttributes() {
    Add(out_, operation_.attributes);
    Add(out_, R"("service.name":{"type":"string","value":)");
    AddText(service_.name);
    Add(out_, R"(},"server.address":{"type":"string","value":)");
    AddText(service_.address);
    Add(out_, R"(},"http.response.status_code":{"type":"integer","value":)");
    AddNumber(out_, random_.Chance(0.02) ? 503 : 200);
    Add(out_, R"(},"thread.id":{"type":"integer","value":)");
    AddNumber(out_, 140'000'000'000'000 + trace_.high % 4'000 * 1'000'000);
    Add(out_, R"(},"user.id":{"type":"string","value":"user-)");
    AddNumber(out_, trace_.low % 1'000'000);
    out_ += '"';
    AddSegmentId();
    if (is_realistic_ && random_.Chance(0.05)) {
      Add(out_, R"(},"note":{"type":"string","value":)");
      AddText(kOddTexts[random_.Below(kOddTexts.size())]);
    }
    if (is_realistic_) {
      Add(out_, R"(},"sentry.release":{"type":"string","value":"shop@24.11.3+8f3a2c1"},)"
                R"("sentry.environment":{"type":"string","value":"production")");
    }
    Add(out_, R"(},"code.stacktrace":{"type":"string","value":")");
    if (is_realistic_) Add(out_, Pad(random_, RealisticPadBytes(random_)));
    pad_at_ = out_.size();
    Add(out_, R"("})");
  }

  // Begins with the brace that closes the attribute before it, ends without its own.
  void AddSegmentId() {
    if (span_.attributes == AttributesForm::kIdNull) {
      Add(out_, R"(},"sentry.segment.id":null,"sentry.origin":{"type":"string","value":"manual")");
    } else if (span_.attributes == AttributesForm::kWithId) {
      Add(out_, R"(},"sentry.segment.id":{"type":"string","value":)");
      if (span_.is_opaque) {
        AddText(OpaqueSegmentId(span_));
      } else {
        AddId(span_.segment_id);
      }
    }
  }

  // Lengthens the last attribute, a stack, until the message has its fixed size.
  //
  // The measurements that the design rests on (docs/design.md, "Codec") were made on spans of 1 kB
  // that zstd 1 brings down to 465 bytes one by one, and to 187 bytes a span when five of a segment
  // share a frame. Figures of memory and CPU can only be compared with them if these spans do the
  // same: an operation's own frames make up what its spans do not have in common with others, and
  // the layers below, a frame repeated, take next to nothing once compressed. A test watches over
  // the outcome.
  void FillUp() {
    CHECK(out_.size() + operation_.frames.size() <= kFixedSpanBytes,
          "a fixed-size span has room for its fields");
    const size_t layer_bytes = kFixedSpanBytes - out_.size() - operation_.frames.size();
    std::array<char, kFixedSpanBytes> stack;
    const auto end = std::copy(operation_.frames.begin(), operation_.frames.end(), stack.begin());
    for (size_t i = 0; i < layer_bytes; ++i) end[i] = kLayerFrame[i % kLayerFrame.size()];
    out_.insert(pad_at_, stack.data(), operation_.frames.size() + layer_bytes);
  }

  const bool is_realistic_;
  const Trace& trace_;
  const PlannedSpan& span_;
  const Service& service_;
  std::string& out_;
  SeededRandom random_;
  const Operation& operation_;
  bool is_spaced_ = false;
  size_t pad_at_ = 0;
};

}  // namespace

void WriteSpan(Shape shape, const Trace& trace, const PlannedSpan& span, std::string& out) {
  SpanWriter(shape, trace, span, out).Write();
}

}  // namespace spillway::load
