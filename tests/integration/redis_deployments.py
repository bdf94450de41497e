"""A private Redis Cluster, a master with replica and sentinel, a server behind TLS, for a fleet to use."""

import pathlib
import shutil
import signal
import subprocess

import redis as redis_client

from harness import ROOT, Redis, free_port, wait_until

SLOTS = 16384


class RedisCluster:
    """Three masters without replicas; the others go on while one is away."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.nodes = [Redis(self.folder / f"node-{i}", "--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf",
                            "--cluster-port", str(free_port()), "--cluster-node-timeout", "1000",
                            "--cluster-require-full-coverage", "no") for i in range(3)]
        addresses = [f"127.0.0.1:{node.port}" for node in self.nodes]
        subprocess.run(["redis-cli", "--cluster", "create", *addresses, "--cluster-yes"], check=True,
                       stdout=subprocess.DEVNULL, timeout=60)
        self.wait_until_whole()
        self.url = "redis+cluster://" + ",".join(addresses)
        self.client = self

    def info(self, node, key):
        info = self.nodes[node].client.execute_command("CLUSTER INFO")
        return info[key] if isinstance(info, dict) else dict(
            line.split(":") for line in info.decode().split("\r\n") if ":" in line)[key]

    def wait_until_whole(self):
        wait_until(lambda: all(int(self.info(i, "cluster_slots_ok")) == SLOTS and self.info(i, "cluster_state") == "ok"
                               for i in range(3)), "every node sees every slot served")

    def slot_of(self, key):
        return int(self.nodes[0].client.execute_command("CLUSTER KEYSLOT", key))

    def node_of(self, key):
        """Index of the node that serves the key."""
        for i, node in enumerate(self.nodes):
            try:
                node.client.exists(key)
                return i
            except redis_client.exceptions.ResponseError as error:
                if not str(error).startswith("MOVED"):
                    raise
        raise AssertionError(f"nobody serves {key}")

    def __getattr__(self, command):
        """As a client: a command of one key, on its node."""
        return lambda key, *words: getattr(self.nodes[self.node_of(key)].client, command)(key, *words)

    def scan_iter(self, **options):
        for node in self.nodes:
            yield from node.client.scan_iter(**options)

    def kill(self):
        for node in self.nodes:
            node.kill()

    def start(self):
        for node in self.nodes:
            node.start()
        self.wait_until_whole()

    def flushall(self):
        for node in self.nodes:
            node.flushall()

    def keep(self):
        for node in self.nodes:
            node.keep()

    def set_back(self):
        self.kill()
        for node in self.nodes:
            node.load_kept()
        self.start()

    def signal(self, node, number):
        self.nodes[node].process.send_signal(number)

    def close(self):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class SlotMove:
    """Moves the slot of a key to the next node, as `redis-cli --cluster reshard` does, in steps."""

    def __init__(self, cluster, key):
        home = cluster.node_of(key)
        self.slot = cluster.slot_of(key)
        self.source, self.target = cluster.nodes[home], cluster.nodes[(home + 1) % 3]
        self.source_id, self.target_id = (n.client.execute_command("CLUSTER MYID").decode()
                                          for n in (self.source, self.target))
        self.bystander = cluster.nodes[(home + 2) % 3]

    def begin(self):
        self.target.client.execute_command("CLUSTER SETSLOT", self.slot, "IMPORTING", self.source_id)
        self.source.client.execute_command("CLUSTER SETSLOT", self.slot, "MIGRATING", self.target_id)

    def keys(self):
        return self.source.client.execute_command("CLUSTER GETKEYSINSLOT", self.slot, 100_000)

    def move(self, keys):
        for i in range(0, len(keys), 100):
            self.source.client.execute_command("MIGRATE", "127.0.0.1", self.target.port, "", 0, 10_000, "KEYS",
                                               *keys[i:i + 100])

    def move_half(self):
        keys = self.keys()
        self.move(keys[:(len(keys) + 1) // 2])

    def finish(self):
        self.move(self.keys())
        for node in (self.target, self.source, self.bystander):
            node.client.execute_command("CLUSTER SETSLOT", self.slot, "NODE", self.target_id)

    def abandon(self):
        """While no key has moved."""
        for node in (self.source, self.target):
            node.client.execute_command("CLUSTER SETSLOT", self.slot, "STABLE")


class SecuredRedis(Redis):
    """A server that is reached over TLS, with a client certificate and as an ACL user; the test's own
    client uses a plain port."""

    def __init__(self, folder):
        self.certificates = pathlib.Path(folder) / "tls"
        self.certificates.mkdir(parents=True)
        subprocess.run([ROOT / "tests/support/make_certificates", self.certificates], check=True, timeout=30)
        self.password_file = self.certificates / "password"
        self.password_file.write_text("secret\n")
        users = self.certificates / "users"
        users.write_text("user default on nopass ~* &* +@all\nuser spillway on >secret ~* &* +@all\n")
        self.tls_port = free_port()
        super().__init__(folder, "--tls-port", str(self.tls_port), "--tls-cert-file", self.file("server.pem"),
                         "--tls-key-file", self.file("server.key"), "--tls-ca-cert-file", self.file("ca.pem"),
                         "--aclfile", str(users))

    def file(self, name):
        return str(self.certificates / name)

    @property
    def url(self):
        return f"rediss://127.0.0.1:{self.tls_port}"

    def settings(self, ca="ca.pem"):
        """Section `redis` of a configuration."""
        return {"url": self.url, "username": "spillway", "password_file": str(self.password_file),
                "tls": {"ca": self.file(ca), "cert": self.file("client.pem"), "key": self.file("client.key")}}

    def users_connected(self):
        return {client["user"] for client in self.client.client_list() if f":{self.tls_port}" in client["laddr"]}

    def close(self):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class RedisSentinel:
    """A master, a replica and one sentinel whose word suffices."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.master = Redis(self.folder / "master", "--repl-diskless-sync-delay", "0")
        self.replica = Redis(self.folder / "replica", "--replicaof", "127.0.0.1", str(self.master.port))
        self.port = free_port()
        config = self.folder / "sentinel.conf"
        config.write_text(f"port {self.port}\nbind 127.0.0.1\ndir {self.folder}\n"
                          f"sentinel monitor main 127.0.0.1 {self.master.port} 1\n"
                          "sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 3000\n")
        self.process = subprocess.Popen(["redis-server", str(config), "--sentinel"], start_new_session=True,
                                        stdout=open(self.folder / "sentinel.log", "ab"), stderr=subprocess.STDOUT)
        self.sentinel = redis_client.Redis(port=self.port)
        wait_until(lambda: self.replica.client.info("replication").get("master_link_status") == "up", "the replica copies")
        wait_until(self.knows_replica, "the sentinel knows the replica")
        self.url = f"redis+sentinel://127.0.0.1:{self.port}/main"

    def knows_replica(self):
        try:
            return any(str(self.replica.port).encode() in field
                       for replica in self.sentinel.execute_command("SENTINEL REPLICAS", "main")
                       for field in (replica.values() if isinstance(replica, dict) else replica)
                       if isinstance(field, bytes))
        except redis_client.exceptions.ConnectionError:
            return False

    @property
    def client(self):
        """Of the server that is master now."""
        return next((s.client for s in (self.replica, self.master)
                     if s.process.poll() is None and s.client.info("replication")["role"] == "master"), self.master.client)

    def close(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.master.kill()
        self.replica.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
