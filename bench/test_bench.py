"""Tests of the benchmark's arithmetic and report: python3 -m unittest discover -s bench"""

import base64
import http.server
import json
import socket
import urllib.request
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path
from unittest import mock

import cluster
import credentials
import flood
import flood_sender
import issuer_away
import keys
import kill
import measure
import report
import rotate
from key_set_server import KeySetServer
from load import check_sample, percentile
from process import Failure, Server, accepts, check_ports
from run import Sample
from work import OPEN, ROUTES, ROWS, route_prefixes


def samples(*costs, mistakes=()):
    return [Sample(requests=1, cpu_per_request=cost / 1e6, mistakes=list(mistakes)) for cost in costs]


ABOUT = {"date": "", "commit": "", "command": "", "cpu": "", "cores": 2, "memory_gib": 1, "kernel": "",
         "pinned": True, "versions": {}, "rounds": 3, "seconds": 1}
TITLES = {"nginx": "nginx", "haproxy": "HAProxy", "weir": "Weir"}


class Report(unittest.TestCase):
    def test_ratio_pairs_the_rounds(self):
        # The machine was twice as slow in the last round, for both: the ratio must not notice.
        self.assertAlmostEqual(report.ratio(samples(8, 8, 16), samples(10, 10, 20)), 0.8)

    def test_one_error_takes_away_the_figure(self):
        by_peer = {"nginx": samples(10, 10), "haproxy": samples(1, 1, mistakes=["3 timeouts"]), "weir": samples(9, 9)}
        text = report.render(ROWS[:1], TITLES, {ROWS[0].name: by_peer}, ABOUT)
        self.assertIn("| HTTP/1.1, small JSON | 10.0 | errors | 9.0 | 0.90 | 0.90 |", text)
        self.assertIn("- HAProxy: 3 timeouts", text)

    def test_hyper_is_no_rival(self):
        by_peer = {"nginx": samples(10), "hyper": samples(1), "weir": samples(9)}
        self.assertIs(report.best_rival(by_peer), by_peer["nginx"])

    def test_goals_are_told_beside_what_was_measured(self):
        row = next(row for row in ROWS if row.name == "jwt")
        by_peer = {"nginx": [], "haproxy": samples(20, 30), "weir": samples(11, 11), OPEN: samples(10, 10)}
        text = report.render([row], TITLES, {row.name: by_peer}, ABOUT)
        self.assertIn("| `jwt`: Weir ÷ HAProxy | ≤ 0.40 | 0.46 |", text)
        self.assertIn("| `jwt`: Weir ÷ Weir, open to all | ≤ 1.15 | 1.10 |", text)
        # A peer that was not measured is not passed over in silence.
        self.assertIn("| `jwt`: Weir ÷ envoy | ≤ 0.40 | – |", text)
        self.assertIn("| Weir, open to all | 10.00 (10.00–10.00) |", text)

    def test_text_around_the_markers_is_kept(self):
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "BENCHMARKS.md"
            path.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
            report.write(path, "new")
            self.assertEqual(path.read_text(), f"before\n{report.BEGIN}\n\nnew\n\n{report.END}\nafter\n")
            path.write_text("no markers")
            with self.assertRaises(Failure):
                report.write(path, "new")

    def test_command_names_no_file_of_this_machine(self):
        command = report._command(["--weir", "/a/weir", "--hyper=/b", "--rows", "plain"])
        self.assertEqual(command, "make bench BENCH_ARGS='--rows plain'")


class Credentials(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.issuer = credentials.Issuer(Path(cls.directory.name) / "issuer")

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()

    def verifies(self, token):
        signed, _, signature = token.rpartition(".")
        (path := Path(self.directory.name) / "signature").write_bytes(base64.urlsafe_b64decode(signature + "=="))
        command = ["openssl", "dgst", "-sha256", "-verify", self.issuer.public_key, "-signature", path]
        return subprocess.run(command, input=signed.encode(), capture_output=True).returncode == 0

    def test_a_token_is_good_until_its_signature_is_spoiled(self):
        token = self.issuer.token("ada", aud="billing")
        self.assertTrue(self.verifies(token))
        spoiled = credentials.spoiled(token)
        self.assertEqual(len(spoiled), len(token))
        self.assertFalse(self.verifies(spoiled))
        claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        self.assertEqual((claims["sub"], claims["aud"], claims["iss"]), ("ada", "billing", credentials.ISSUER))

    def test_the_key_set_has_the_key_that_signs(self):
        key, = json.loads(self.issuer.key_set.read_text())["keys"]
        modulus = base64.urlsafe_b64decode(key["n"] + "==")
        self.assertEqual((len(modulus), modulus[0] >> 7), (256, 1))
        command = ["openssl", "rsa", "-pubin", "-in", self.issuer.public_key, "-noout", "-modulus"]
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        self.assertEqual(shown.strip().lower(), f"modulus={modulus.hex()}")

    def test_a_key_can_be_published_under_another_name(self):
        self.issuer.publish(["first", "second"])
        self.addCleanup(self.issuer.publish, ["first"])
        first, second = json.loads(self.issuer.key_set.read_text())["keys"]
        self.assertEqual((first["kid"], second["kid"], first["n"]), ("first", "second", second["n"]))

    def test_tokens_in_turn_are_different(self):
        self.assertEqual(len(set(self.issuer.tokens(3))), 3)

    def test_a_made_up_key_has_the_form_of_one(self):
        # One that crates/core/src/api_key.rs holds itself to.
        known = "weir_key_063UfDVRKBz00000000001LygHa16AHYF0005gOMDDhc1pgR8X"
        self.assertEqual(credentials.with_checksum(known[:-6]), known)
        made_up = credentials.made_up_key("063UfDVRKBz")
        self.assertRegex(made_up, r"^weir_key_063UfDVRKBz[0-9A-Za-z]{39}$")
        self.assertEqual(credentials.with_checksum(made_up[:-6]), made_up)


class Sampling(unittest.TestCase):
    def test_a_peer_that_lets_anybody_in_has_no_figure(self):
        row = next(row for row in ROWS if row.name == "jwt")
        known = credentials.Credentials(["good"], {"no token": None, "another audience": "bad"})

        def curl(statuses):
            return lambda _row, _url, _environment, _certificate, field=None: ("1.1", statuses[field], row.body)

        with mock.patch("load._curl", curl({"good": "200", "bad": "403", None: "401"})):
            self.assertEqual(check_sample(row, "", {}, None, known), [])
        with mock.patch("load._curl", curl({"good": "200", "bad": "200", None: "401"})):
            self.assertEqual(check_sample(row, "", {}, None, known), ["sample: 200 for another audience"])
        with mock.patch("load._curl", curl({"good": "401", "bad": "401", None: "401"})):
            self.assertEqual(check_sample(row, "", {}, None, known), ["sample: HTTP/1.1 401 in place of HTTP/1.1 200"])


class Flood(unittest.TestCase):
    def setUp(self):
        header, claims = (base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (b'{"alg":"RS256","kid":"first"}', b"{}"))
        self.good = f"{header}.{claims}." + base64.urlsafe_b64encode(bytes(256)).rstrip(b"=").decode()

    def test_each_bad_token_is_another_one_and_of_its_kind(self):
        tokens = flood_sender.bad_tokens(self.good, list(flood_sender.KINDS), 30)
        self.assertEqual(len(set(tokens)), 30)
        unknown_key, signature, garbage = tokens[:3]
        self.assertEqual(signature.rpartition(".")[0], self.good.rpartition(".")[0])
        header = json.loads(base64.urlsafe_b64decode(unknown_key.split(".")[0] + "=="))
        self.assertEqual(header["alg"], "RS256")
        self.assertNotEqual(header["kid"], "first")
        self.assertNotIn(".", garbage)

    def test_answers_are_counted_wherever_they_are_cut(self):
        text = b"HTTP/1.1 401 Unauthorized\r\n\r\nHTTP/1.1 429 Too Many Requests\r\n\r\n"
        for cut in range(1, len(text)):
            connection = flood_sender.Connection("127.0.0.1", 0)
            connection.waits_for = 2
            connection.socket, server = socket.socketpair()
            with connection.socket, server:
                found = []
                for part in (text[:cut], text[cut:]):
                    server.sendall(part)
                    found += connection.receive()
                server.close()
                self.assertEqual((found, connection.waits_for), ([b"401", b"429"], 0))
                self.assertIsNone(connection.receive())

    def test_an_issuer_is_asked_once_at_the_start_and_once_in_each_interval(self):
        self.assertEqual([flood.most_asked(seconds, damping=30) for seconds in (1, 29, 31, 60)], [2, 2, 3, 4])

    def test_a_key_set_can_be_away_and_come_back(self):
        with tempfile.TemporaryDirectory() as directory, socket.create_server(("127.0.0.1", 0)) as listener:
            path = Path(directory) / "jwks.json"
            path.write_text('{"keys": []}')
            port = listener.getsockname()[1]
            listener.close()
            server = KeySetServer(port, path)
            for asked in (1, 2):
                with server:
                    self.assertEqual(urllib.request.urlopen(f"http://127.0.0.1:{port}/jwks.json").read(), b'{"keys": []}')
                self.assertEqual(server.asked, asked)
                with self.assertRaises(OSError):
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/jwks.json")


class Keys(unittest.TestCase):
    def test_each_number_has_a_key_and_a_row_of_its_own(self):
        texts = [keys.key_text(b"salt", number) for number in range(1000)]
        self.assertEqual(len({text[:20] for text in texts}), 1000)
        for text in texts:
            self.assertRegex(text, r"^weir_key_[0-9A-Za-z]{50}$")
            self.assertEqual(credentials.with_checksum(text[:-6]), text)
        self.assertNotEqual(keys.key_text(b"other", 0), texts[0])
        identifiers = [keys.key_id(number) for number in range(1000)]
        self.assertEqual(identifiers, sorted(set(identifiers)))
        self.assertRegex(identifiers[-1], r"^key_01[0-9a-hjkmnp-tv-z]{24}$")

    def test_each_key_is_sent_once_and_refusals_are_counted(self):
        seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                seen.append(self.headers[credentials.KEY_HEADER])
                self.send_response(401 if seen[-1].endswith("7") else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_arguments):
                pass

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            sent = [f"key-{number}" for number in range(100)]
            failed = keys.use_each(server.server_port, sent, connections=3)
            server.shutdown()
        self.assertEqual(sorted(seen), sorted(sent))
        self.assertEqual(failed, 10)


class Away(unittest.TestCase):
    def test_both_come_back_whatever_happens_meanwhile(self):
        server, database = mock.MagicMock(), mock.MagicMock()
        with self.assertRaises(ZeroDivisionError), issuer_away.Both(server, database).away():
            server.__exit__.assert_called_once_with()
            database.kill.assert_called_once_with()
            server.__enter__.assert_not_called()
            1 / 0
        server.__enter__.assert_called_once_with()
        database.__enter__.assert_called_once_with()

    def test_an_answer_that_is_not_the_expected_one_is_a_miss(self):
        rig = mock.Mock(status=lambda field, path: 401 if field == "bad" else 200)
        with mock.patch("builtins.print"):
            self.assertTrue(issuer_away.expect(rig, {("good", "/", "good"): 200, ("bad", "/", "bad"): 401}))
            self.assertFalse(issuer_away.expect(rig, {("bad", "/", "bad"): 503, ("good", "/", "good"): 200}))


class Rotate(unittest.TestCase):
    def test_a_node_that_never_refuses_is_noticed(self):
        revoked = threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                is_refused = revoked.is_set() and self.server is servers[0]
                self.send_response(401 if is_refused else 200)
                self.end_headers()

            def log_message(self, *_arguments):
                pass

        with (http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as first,
              http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as second,
              mock.patch("rotate.PATIENCE", 0.3)):
            servers = [first, second]
            for server in servers:
                threading.Thread(target=server.serve_forever, daemon=True).start()
            all_nodes = [cluster.Node(Path(), server.server_port, 0) for server in servers]
            seen = rotate.refused_after(all_nodes, "/", "x: y", revoked.set)
            for server in servers:
                server.shutdown()
        self.assertLess(seen[0], 0.3)
        self.assertIsNone(seen[1])
        self.assertEqual(rotate.shown([0.123, None]), "0.12, never")

    def test_the_key_is_named_by_the_token(self):
        header = base64.urlsafe_b64encode(b'{"alg":"ES256","kid":"k1"}').rstrip(b"=").decode()
        self.assertEqual(rotate.key_id(f"{header}.e30.AA"), "k1")


class Kill(unittest.TestCase):
    def test_requests_belong_to_the_phase_in_which_they_end(self):
        log = "100\t200\t50\n140\t502\t20\n150\t-1\t60\n300\t200\t1\n12"
        calm, killed, revived = kill.split(kill.read_log(log), killed=160, revived=250)
        self.assertEqual([len(phase.requests) for phase in (calm, killed, revived)], [1, 2, 1])
        self.assertEqual([phase.failed for phase in (calm, killed, revived)], [0, 2, 0])
        self.assertEqual(calm.took(99), 0.05)

    def test_a_killed_server_can_be_started_again(self):
        with tempfile.TemporaryDirectory() as directory:
            output = Path(directory) / "output.log"
            command = ["sh", "-c", "echo here; sleep 20"]
            server = Server("mortal", command, [], lambda: output.read_text() != "", Path(directory), None)
            with server:
                first = server.pids()
                server.kill()
                self.assertFalse(any(Path(f"/proc/{pid}").exists() for pid in first[:1]))
                server.__enter__()
                self.assertNotEqual(server.pids()[0], first[0])


class Measure(unittest.TestCase):
    def test_tree_holds_grandchildren_and_their_time(self):
        burn = "import os\nwhile os.times().user < 0.3: pass\nprint(flush=True)\ninput()"
        command = ["sh", "-c", '"$0" -c "$1"; true', sys.executable, burn]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        with process:
            process.stdout.readline()
            tree = measure.process_tree(process.pid)
            self.assertEqual((tree[0], len(tree)), (process.pid, 2))
            self.assertGreaterEqual(measure.cpu_seconds(tree), 0.3)
            self.assertGreater(measure.resident_bytes(tree), 2**20)
            process.communicate(b"\n")

    def test_percentile(self):
        self.assertEqual(percentile(list(range(100)), 99), 99)
        self.assertEqual(percentile([7], 99), 7)


class Servers(unittest.TestCase):
    def test_nothing_is_left_of_a_server(self):
        with tempfile.TemporaryDirectory() as directory:
            # Takes no notice of the signal to end, and has a child.
            command = ["sh", "-c", "trap '' TERM; sleep 20 & echo $!; sleep 2"]
            output = Path(directory) / "output.log"
            with mock.patch("process.STOP_SECONDS", 0.1):
                server = Server("stubborn", command, [], lambda: output.read_text() != "", Path(directory), None)
                with server:
                    self.assertIn(int(output.read_text()), server.pids())
            # Whoever adopted the child may not have taken note of its end yet.
            child = Path("/proc") / output.read_text().strip() / "stat"
            self.assertTrue(not child.exists() or ") Z " in child.read_text())

    def test_a_server_that_does_not_start_says_why(self):
        with tempfile.TemporaryDirectory() as directory:
            server = Server("broken", ["sh", "-c", "echo no such file; exit 1"], [], lambda: False, Path(directory), None)
            with self.assertRaisesRegex(Failure, "broken did not start: no such file"):
                server.__enter__()

    def test_a_taken_port_is_noticed(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            self.assertTrue(accepts(port)())
            with self.assertRaisesRegex(Failure, f"port {port} is not free"):
                check_ports([port])


class Work(unittest.TestCase):
    def test_requests_reach_from_the_first_route_to_the_last(self):
        routed = next(row for row in ROWS if row.routes).paths()
        prefixes = route_prefixes()
        self.assertEqual(len(set(prefixes)), ROUTES)
        self.assertTrue(routed[0].startswith(prefixes[0]) and routed[-1].startswith(prefixes[-1]))


if __name__ == "__main__":
    unittest.main()
