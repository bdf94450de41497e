# shellcheck shell=bash
# Private Redis and Kafka for tests, benchmarks and the demo. To be sourced by bash.
#
#   run_redis DIR [PORT [redis-server option…]]   in the foreground until killed; prints one line,
#   run_kafka DIR [PORT]                          the address, once it answers; logs to DIR
#   start_redis DIR [PORT [option…]]              the same in a session of its own: returns once it
#   start_kafka DIR [PORT]                        answers and sets SERVICE_ADDRESS and SERVICE_PID
#   start_mock_kafka DIR BINARY TOPIC:PARTITIONS… librdkafka's mock broker instead of a real one
#   stop_service PID                              TERM, then KILL; returns when it is gone
#   provide_kafka, provide_tlc                    fetch the broker's, the model checker's jars if need be
#   has_java                                      whether a real Kafka can run here
#
# Nothing outlives the shell that started it. Ports are free ones where none is given.
# SPILLWAY_KAFKA_PROPERTIES: further lines of the broker's configuration.
# SPILLWAY_REDIS_SERVER: another server's program than redis-server, Valkey's say.

SPILLWAY_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
SPILLWAY_SERVICES=$SPILLWAY_ROOT/deploy/lib/services.sh
SPILLWAY_KAFKA_JARS=$SPILLWAY_ROOT/build/kafka

free_port() {
  /usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

has_java() {
  local version
  version=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p')
  [[ -n $version && $version -ge 17 ]]
}

# Waits until "$@" succeeds, while process PID lives, for at most SECONDS.
wait_for() {
  local seconds=$1 pid=$2 deadline=$((SECONDS + $1))
  shift 2
  until "$@"; do
    if ! kill -0 "$pid" 2>/dev/null; then
      echo "services: the process ended before it answered" >&2
      return 1
    fi
    if ((SECONDS > deadline)); then
      echo "services: no answer within $seconds s" >&2
      return 1
    fi
    sleep 0.05
  done
}

# Prefix of a run_… function's child: it dies with its parent, however that ends.
WITH_PARENT=(setpriv --pdeathsig KILL)

redis_answers() { [[ $(redis-cli -h 127.0.0.1 -p "$1" ping 2>/dev/null) == PONG ]]; }

run_redis() {
  local dir=$1 port=${2:-}
  shift $(($# < 2 ? $# : 2))
  mkdir -p "$dir"
  [[ -n $port && $port != 0 ]] || port=$(free_port)
  "${WITH_PARENT[@]}" "${SPILLWAY_REDIS_SERVER:-redis-server}" --port "$port" --bind 127.0.0.1 --dir "$dir" --save "" --appendonly no \
    "$@" >>"$dir/redis.log" 2>&1 &
  serve "$!" 20 "redis://127.0.0.1:$port" redis_answers "$port"
}

# Asks the broker for its metadata (Metadata v1, all topics) and wants at least one broker in it.
kafka_answers() {
  local answer
  answer=$(
    exec 2>/dev/null
    exec 3<>"/dev/tcp/127.0.0.1/$1" || exit
    printf '\0\0\0\x0e\0\3\0\1\0\0\0\1\xff\xff\xff\xff\xff\xff' >&3
    timeout 2 head -c 12 <&3 | od -An -tu1
  )
  # Bytes: length 4, correlation 4, number of brokers 4.
  local bytes
  read -ra bytes <<<"${answer//$'\n'/ }"
  [[ ${#bytes[@]} -eq 12 && ${bytes[11]} -ge 1 ]]
}

provide_kafka() { provide_jars "Apache Kafka" "$SPILLWAY_ROOT/deploy/kafka/pom.xml" "$SPILLWAY_KAFKA_JARS"; }
provide_tlc() { provide_jars TLC "$SPILLWAY_ROOT/tests/spec/pom.xml" "$SPILLWAY_ROOT/build/tlc"; }

# provide_jars WHAT POM DIR: fetched once a checkout into DIR/jars; a changed pom.xml fetches them anew.
provide_jars() {
  local what=$1 pom=$2 dir=$3 stamp
  stamp=$dir/complete-$(md5sum <"$pom" | cut -c1-12)
  [[ -e $stamp ]] && return
  mkdir -p "$dir"
  (
    flock 9
    [[ -e $stamp ]] && exit
    echo "services: fetching $what with Maven" >&2
    rm -rf "$dir"/{jars,complete-*}
    mvn -q -B -ntp -f "$pom" dependency:copy-dependencies -DincludeScope=runtime \
      -DoutputDirectory="$dir/jars" >"$dir/maven.log" 2>&1 || { cat "$dir/maven.log" >&2; exit 1; }
    touch "$stamp"
  ) 9>"$dir/.lock"
}

# Kafka's ids are 22 characters of URL-safe base64; one with a leading '-' reads as an option.
kafka_cluster_id() {
  local id
  id=$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=')
  echo "A${id:1}"
}

write_kafka_properties() {
  local dir=$1 port=$2 controller=$3
  cat >"$dir/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$port
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs=$dir/data
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
num.network.threads=2
num.io.threads=4
log.index.size.max.bytes=1048576
${SPILLWAY_KAFKA_PROPERTIES:-}
PROPERTIES
}

run_kafka() {
  local dir=$1 port=${2:-} controller
  provide_kafka || return
  mkdir -p "$dir/tmp"
  [[ -n $port && $port != 0 ]] || port=$(free_port)
  controller=$(free_port)
  write_kafka_properties "$dir" "$port" "$controller"
  local java=(java "-Djava.io.tmpdir=$dir/tmp" -Dorg.slf4j.simpleLogger.defaultLogLevel=warn
    -Dorg.slf4j.simpleLogger.showDateTime=true -cp "$SPILLWAY_KAFKA_JARS/jars/*")
  if [[ ! -e $dir/data/meta.properties ]]; then  # else it goes on with what it had
    "${java[@]}" -XX:TieredStopAtLevel=1 kafka.tools.StorageTool format \
      -t "$(kafka_cluster_id)" -c "$dir/server.properties" >>"$dir/kafka.log" 2>&1 || return
  fi
  "${WITH_PARENT[@]}" "${java[@]}" -Xms256m -Xmx512m -XX:+UseParallelGC kafka.Kafka "$dir/server.properties" \
    >>"$dir/kafka.log" 2>&1 &
  serve "$!" 60 "127.0.0.1:$port" kafka_answers "$port"
}

# serve PID SECONDS ADDRESS probe…: prints ADDRESS once the probe succeeds, then waits for the end
# of PID, which is asked to end when this shell is.
serve() {
  local pid=$1 seconds=$2 address=$3 ended
  shift 3
  # shellcheck disable=SC2064  # the process is known now
  trap "kill $pid 2>/dev/null" TERM INT
  wait_for "$seconds" "$pid" "$@" || { kill -KILL "$pid" 2>/dev/null; return 1; }
  echo "$address"
  while kill -0 "$pid" 2>/dev/null; do  # a signal interrupts wait
    wait "$pid"
    ended=$?
  done
  return "${ended:-0}"
}

start_redis() { start_service redis "$1" run_redis "$@"; }
start_kafka() { start_service kafka "$1" run_kafka "$@"; }

run_mock_kafka() {
  local dir=$1 binary=$2
  shift 2
  "${WITH_PARENT[@]}" "$binary" "$@" </dev/null >"$dir/mock-address" 2>>"$dir/kafka.log" &
  local pid=$!
  trap 'kill $pid 2>/dev/null' TERM INT
  wait_for 20 "$pid" test -s "$dir/mock-address" && cat "$dir/mock-address"
  wait "$pid"
}
start_mock_kafka() { start_service kafka "$1" run_mock_kafka "$@"; }

# start_service NAME DIR function…: runs the function in a session of its own, so that Ctrl-C does
# not reach it and its order of ending is ours to choose.
start_service() {
  local name=$1 dir=$2 file=$2/$1.address
  shift 2
  mkdir -p "$dir"
  rm -f "$file"
  # shellcheck disable=SC2016  # for the shell inside
  setsid setpriv --pdeathsig TERM bash -c '. "$0"; "$@"' "$SPILLWAY_SERVICES" "$@" \
    >"$file" 2>>"$dir/$name.log" </dev/null &
  SERVICE_PID=$!
  if ! wait_for 90 "$SERVICE_PID" test -s "$file"; then
    echo "services: $name did not start; the end of $dir/$name.log:" >&2
    tail -n 5 "$dir/$name.log" >&2
    return 1
  fi
  # shellcheck disable=SC2034  # for the caller
  SERVICE_ADDRESS=$(<"$file")
}

stop_service() {
  local pid=$1 deadline=$((SECONDS + 10))
  kill -TERM -- "-$pid" 2>/dev/null || return 0
  while kill -0 -- "-$pid" 2>/dev/null && ((SECONDS < deadline)); do sleep 0.05; done
  kill -KILL -- "-$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
}
