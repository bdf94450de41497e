// spillway-load: makes realistic traces onto an input topic, checks an output topic against them,
// and re-feeds dead letters. Exit codes: 0 done and right · 1 failed, or the check found something
// · 2 usage.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/status_macros.h"
#include "tests/load/commands.h"
#include "tests/load/kafka_io.h"
#include "tests/load/manifest.h"

namespace spillway::load {
namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;

int Finish(const absl::Status& status) {
  if (status.ok()) return 0;
  std::fprintf(stderr, "spillway-load: %s\n", std::string(status.message()).c_str());
  return status.code() == absl::StatusCode::kInvalidArgument ? kUsage : kFailed;
}

// An option that takes "10s", "500ms", "2m".
void AddDuration(CLI::App* app, const std::string& name, std::chrono::milliseconds& value,
                 const std::string& help) {
  const auto parse = [&value](const std::string& text) {
    absl::Duration duration;
    const bool is_right = absl::ParseDuration(text, &duration) && duration >= absl::ZeroDuration();
    if (is_right) value = absl::ToChronoMilliseconds(duration);
    return is_right;
  };
  app->add_option_function<std::string>(name,
                                        [parse, name](const std::string& text) {
                                          if (!parse(text)) {
                                            throw CLI::ValidationError(
                                                name, text + " is not a duration such as 10s");
                                          }
                                        })
      ->description(help)
      ->type_name("DURATION");
}

struct Arguments {
  std::string brokers;
  std::vector<std::string> topics;
  std::string shape = "realistic";
  MakeOptions make;
  CheckCommandOptions check;
  TracesOptions traces;
  RefeedOptions refeed;
};

void AddBrokers(CLI::App* app, std::string& brokers) {
  app->add_option("--brokers", brokers, "Kafka's bootstrap servers")->required();
}

void AddMake(CLI::App& app, Arguments& arguments) {
  CLI::App* make = app.add_subcommand("make", "Send seeded traces onto a topic");
  MakeOptions& options = arguments.make;
  options.traffic.rootless_ratio = 0.005;
  AddBrokers(make, options.brokers);
  make->add_option("--topic", options.topic, "Input topic")->required();
  make->add_option("--spans", options.traffic.spans, "How many spans")->required();
  make->add_option("--seed", options.traffic.seed, "The same seed makes the same spans [1]");
  make->add_option("--rate", options.traffic.spans_per_second,
                   "Messages per second; 0: as fast as possible [0]")
      ->check(CLI::NonNegativeNumber);
  make->add_option("--shape", arguments.shape, "realistic, k1, k5, k20 or spread [realistic]");
  make->add_option("--manifest", options.manifest_path, "Written for `check`");
  make->add_option("--spread-seconds", options.traffic.spread_seconds,
                   "Over how long a trace of 20 spans arrives [1]")
      ->check(CLI::NonNegativeNumber);
  make->add_option("--invalid-ratio", options.traffic.invalid_ratio,
                   "Invalid messages per span [0]")
      ->check(CLI::Range(0.0, 0.9));
  make->add_option("--duplicate-ratio", options.traffic.duplicate_ratio,
                   "Exact duplicates per span [0]")
      ->check(CLI::Range(0.0, 1.0));
  make->add_option("--rootless-ratio", options.traffic.rootless_ratio,
                   "Traces with a segment that has no segment span, shape realistic [0.005]")
      ->check(CLI::Range(0.0, 1.0));
}

void AddCheck(CLI::App& app, CheckCommandOptions& options) {
  CLI::App* check = app.add_subcommand("check", "Compare an output topic with what was sent");
  AddBrokers(check, options.brokers);
  check->add_option("--topic", options.topic, "Output topic")->required();
  check->add_option("--manifest", options.manifest_path, "Written by `make`")->required();
  AddDuration(check, "--timeout", options.timeout, "Wait this long for everything [60s]");
  AddDuration(check, "--idle", options.idle,
              "Give up when nothing new has come for this long, once something has [never]");
  AddDuration(check, "--settle", options.settle,
              "Look for surplus this long after everything has come [1s]");
  AddDuration(check, "--root-timeout", options.root_timeout,
              "The buffer's root_timeout, which does not count as lateness [10s]");
  AddDuration(check, "--idle-timeout", options.idle_timeout,
              "The buffer's idle_timeout, for segments without a segment span [60s]");
  check->add_flag("--json", options.as_json, "One JSON object on one line");
  check->add_flag("--allow-duplicates", options.allow_duplicates, "Duplicates are no failure");
  check->add_flag("--ignore-others", options.ignore_others,
                  "So are spans that are not in the manifest");
}

void AddTopics(CLI::App& app, Arguments& arguments) {
  CLI::App* topics = app.add_subcommand("topics", "Create or delete topics");
  topics->require_subcommand(1);
  CLI::App* create = topics->add_subcommand("create", "Create topics; existing ones are fine");
  AddBrokers(create, arguments.brokers);
  create->add_option("--topic", arguments.topics, "NAME:PARTITIONS[:key=value,…]; repeatable")
      ->required();
  CLI::App* remove = topics->add_subcommand("delete", "Delete topics; missing ones are fine");
  AddBrokers(remove, arguments.brokers);
  remove->add_option("--topic,names", arguments.topics, "Names; repeatable")->required();
}

void AddTraces(CLI::App& app, TracesOptions& options) {
  CLI::App* traces = app.add_subcommand("traces", "Send files of one message a line as they are");
  AddBrokers(traces, options.brokers);
  traces->add_option("--topic", options.topic, "Input topic")->required();
  traces->add_option("files", options.files, "Files of one message a line")->required();
}

void AddRefeed(CLI::App& app, RefeedOptions& options) {
  CLI::App* refeed = app.add_subcommand(
      "refeed", "Send dead letters into the topic they came from; a repeated run goes on");
  AddBrokers(refeed, options.brokers);
  refeed->add_option("--from", options.from_topic, "Dead letter topic")->required();
  refeed->add_option("--to", options.to_topic, "Input topic [the one that each letter names]");
  refeed->add_option("--reason", options.reasons,
                     "Only letters with this reason, others are passed over; repeatable [any]");
  refeed->add_option("--group", options.group,
                     "Remembers how far it has come; another begins anew [spillway-refeed]");
  refeed
      ->add_option("--rate", options.letters_per_second,
                   "Letters per second; 0: as fast as possible [0]")
      ->check(CLI::NonNegativeNumber);
  refeed->add_flag("--dry-run", options.is_dry_run, "Only count: nothing is sent or remembered");
  refeed->add_flag("--json", options.as_json, "One JSON object on one line");
}

absl::Status RunMake(Arguments& arguments) {
  ASSIGN_OR_RETURN(arguments.make.traffic.shape, ParseShape(arguments.shape));
  return Make(arguments.make);
}

absl::Status RunCreate(const Arguments& arguments) {
  std::vector<TopicSpec> specs;
  for (const std::string& text : arguments.topics) {
    ASSIGN_OR_RETURN(TopicSpec spec, ParseTopicSpec(text));
    specs.push_back(std::move(spec));
  }
  return CreateTopics(arguments.brokers, specs);
}

int Run(const CLI::App& app, Arguments& arguments) {
  if (app.got_subcommand("make")) return Finish(RunMake(arguments));
  if (app.got_subcommand("refeed")) return Finish(RefeedLetters(arguments.refeed));
  if (app.got_subcommand("traces")) return Finish(SendTraces(arguments.traces));
  if (app.got_subcommand("check")) {
    const absl::StatusOr<bool> is_right = Check(arguments.check);
    if (!is_right.ok()) return Finish(is_right.status());
    return *is_right ? 0 : kFailed;
  }
  const CLI::App* topics = app.get_subcommand("topics");
  return Finish(topics->got_subcommand("create")
                    ? RunCreate(arguments)
                    : DeleteTopics(arguments.brokers, arguments.topics));
}

}  // namespace
}  // namespace spillway::load

int main(int argc, char** argv) {
  CLI::App app("Makes realistic traces onto a Kafka topic, and checks what Spillway made of them.");
  app.require_subcommand(1);
  spillway::load::Arguments arguments;
  spillway::load::AddMake(app, arguments);
  spillway::load::AddCheck(app, arguments.check);
  spillway::load::AddTopics(app, arguments);
  spillway::load::AddTraces(app, arguments.traces);
  spillway::load::AddRefeed(app, arguments.refeed);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : spillway::load::kUsage;
  }
  return spillway::load::Run(app, arguments);
}
