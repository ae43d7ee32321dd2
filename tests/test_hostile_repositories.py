"""What a stranger publishes opens no file of the machine, runs nothing, and asks for no more than there is."""

from __future__ import annotations

import ctypes
import inspect
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from huggingface_hub import constants
from transformers import CONFIG_MAPPING, MODEL_MAPPING, PreTrainedConfig, TokenizersBackend
from transformers.models.auto.tokenization_auto import tokenizer_class_from_name

from attnflow import CheckpointError, TextError, capture, encode, limits, load_checkpoint
from attnflow.bundled import ASSETS
from attnflow.checkpoints import tokenizer_process
from attnflow.checkpoints.checkpoint import check_supported
from attnflow.checkpoints.config_rules import READ_UNDECLARED, allowed_config
from attnflow.checkpoints.repository_files import staged
from attnflow.checkpoints.tokenizer_rules import allowed_settings
from attnflow.runtime.capture import trace_bytes
from attnflow.service.bounds import check_trace, encode_bounded
from attnflow.service.workspace import workspace
from tests.checkpoints import PAIR, make_checkpoint
from tests.conftest import forget_models
from tests.fresh_process import printed
from tests.hostile import READING, SECRET, SIZES, TAKEN_AS_A_PATH, Canary, arguments_that_take_a_path, edit
from tests.pipelines import ALL

pytestmark = pytest.mark.usefixtures("empty_caches")
TOP = Path(__file__).parent.parent
OF_THE_HUB = (
    "vocab",
    "positional",
    "special-tokens-file",
    "vocab-in-tokenizer-json",
    "adapter",
    "index-up",
    "config-name",
)


# ---- what is opened and run


@dataclass
class Watch:
    """What Python opens, runs and connects to while it is on."""

    allowed: tuple[str, ...] = ()
    opened: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)


_watch: list[Watch] = []  # the one that is on, if any
_RUNS = ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "os.fork", "os.forkpty", "pty.spawn")


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    """Look on; an audit hook stays until the process ends, so it does nothing unless a test asks."""
    if not _watch:
        return
    watch = _watch[-1]
    if event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
        path = os.path.abspath(os.fsdecode(arguments[0]))
        if not path.startswith(watch.allowed):
            watch.opened.append(path)
    elif event.startswith(_RUNS):
        watch.done.append(f"{event} {arguments[0]!r}")
    elif event == "socket.connect":
        watch.done.append(f"{event} {arguments[1]!r}")


sys.addaudithook(_audit)

# Python itself, its packages, this project, and what the libraries ask of the system.
PYTHON = tuple(
    f"{Path(place).resolve()}/"
    for place in {
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        sys.prefix,
        sys.base_prefix,
        TOP / "attnflow",
        TOP / "tests",
    }
)
SYSTEM = ("/proc/", "/sys/", "/dev/null", "/dev/urandom", "/dev/shm/", "/usr/share/zoneinfo/", "/etc/localtime")


@contextmanager
def watched(*folders: Path) -> Iterator[Watch]:
    """Note what is opened outside of Python's own files, the system's, some folders and the private one of loading."""
    private = os.path.join(os.path.realpath(tempfile.gettempdir()), "attnflow-")
    own = {f"{place}/" for folder in folders for place in (os.path.abspath(folder), os.path.realpath(folder))}
    watch = Watch((*PYTHON, *SYSTEM, private, *own))
    _watch.append(watch)
    try:
        yield watch
    finally:
        _watch.remove(watch)


@contextmanager
def untouched(folder: Path) -> Iterator[Callable[[], list[str]]]:
    """Ask the kernel which files of a folder were opened: libraries in C++ and Rust raise no audit events."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_NONBLOCK)
    assert descriptor >= 0
    for place in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        assert libc.inotify_add_watch(descriptor, os.fsencode(place), 0x20) >= 0  # IN_OPEN

    def names() -> list[str]:
        try:
            events = os.read(descriptor, 1 << 20)
        except BlockingIOError:
            return []
        found = []
        while events:
            _, _, _, length = struct.unpack_from("iIII", events)
            found.append(events[16 : 16 + length].rstrip(b"\0").decode())
            events = events[16 + length :]
        return [name for name in found if name]  # without a name it is the folder itself

    yield names
    os.close(descriptor)


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A small checkpoint of an architecture that nobody has changed."""
    top = tmp_path_factory.mktemp("honest")

    def of(model_type: str) -> Path:
        if not (top / model_type).exists():
            task = "sequence-classification" if ALL[model_type].classifies else "none"
            make_checkpoint(top / model_type, model_type, task=task)
        return top / model_type

    return of


@pytest.fixture(scope="module")
def canary(honest, tmp_path_factory) -> Canary:
    return Canary.make(tmp_path_factory.mktemp("machine") / "files", honest("bert"))


def test_the_watch_sees_what_it_is_to_see(canary, tmp_path):
    with watched(tmp_path) as watch, untouched(canary.folder) as names:
        Path(canary.words).read_text()
        (tmp_path / "own").write_text("x")
        subprocess.run(["true"], check=True)
    assert watch.opened == [canary.words]
    assert watch.done[0].startswith("subprocess.Popen")
    with untouched(canary.folder) as names:
        ctypes.CDLL(None).fopen(os.fsencode(canary.vocabulary), b"r")  # as a library in C does
        assert names() == ["secret.json"]


@pytest.mark.parametrize("model_type", ALL)
def test_only_its_own_files_are_opened_and_the_size_of_its_trace_is_known_before(model_type, honest, monkeypatch):
    folder = honest(model_type)
    with watched(folder) as watch:
        loaded = load_checkpoint(folder)
        encoding = encode(loaded, *PAIR)
    assert watch.opened == []
    assert watch.done == []
    expected, trace = trace_bytes(loaded, len(encoding.tokens)), capture(loaded, encoding)
    assert expected == trace.attention.nbytes + trace.hidden.nbytes + trace.head_output.nbytes
    forget_models(monkeypatch)
    assert load_checkpoint(folder).n_layers == loaded.n_layers  # once more, after it has left the memory


def test_of_the_hub_only_the_snapshot_is_opened(hub, honest):
    hub.add("lab/watched", honest("bert"))
    tokenizer_process._warm_nursery()  # a process of ours, which the first tokenizer of the Hub would start
    with watched(Path(constants.HF_HUB_CACHE)) as watch:
        load_checkpoint("lab/watched")
    assert watch.opened == []
    address = urlsplit(hub.url)
    assert {done.split(" ", 1)[1] for done in watch.done} <= {repr((address.hostname, address.port))}


@pytest.mark.parametrize("hostile", READING, ids=lambda hostile: hostile.name)
def test_a_hostile_repository_reads_and_runs_nothing(hostile, honest, canary, tmp_path):
    folder = hostile.make(honest(hostile.model_type), tmp_path / "repository", canary)
    said, loaded = "", None
    with untouched(canary.folder) as names:
        with watched(folder) as watch:
            try:
                loaded = load_checkpoint(folder)
                encoding = encode(loaded, f"{SECRET} password", "token")
            except CheckpointError as error:
                said = str(error)
        assert names() == []
    assert watch.opened == []
    assert watch.done == []
    assert not (canary.folder / "ran").exists()
    if hostile.refused is None:
        assert said == ""
        assert loaded.tokenizer.id_of(SECRET) is None
        assert SECRET not in encoding.tokens.piece
    else:
        assert re.search(hostile.refused, said)
        assert "\n" not in said and len(said) < 400
        assert SECRET not in said


@pytest.mark.parametrize("hostile", [h for h in READING if h.name in OF_THE_HUB], ids=lambda hostile: hostile.name)
def test_a_hostile_repository_of_the_hub_reads_nothing(hostile, hub, honest, canary, tmp_path):
    hub.add(f"evil/{hostile.name}", hostile.make(honest(hostile.model_type), tmp_path / "repository", canary))
    said = ""
    with untouched(canary.folder) as names:
        with watched(Path(constants.HF_HUB_CACHE)) as watch:
            try:
                load_checkpoint(f"evil/{hostile.name}")
            except CheckpointError as error:
                said = str(error)
        assert names() == []
    assert watch.opened == []
    assert re.search(hostile.refused, said) if hostile.refused else said == ""


@pytest.mark.parametrize(("tokenizer_class", "arguments"), arguments_that_take_a_path().items())
def test_no_tokenizer_class_is_given_a_path(tokenizer_class, arguments, honest, canary, tmp_path):
    folder = shutil.copytree(honest("bert"), tmp_path / "repository")
    paths = dict.fromkeys(arguments, canary.words)
    edit(folder, "special_tokens_map.json", **paths)
    settings = {"tokenizer_class": tokenizer_class, **paths, "init_inputs": [canary.words] * 3}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    said, texts, left_out = "", "", set()
    try:
        with staged(folder, "it") as files:
            texts = "".join(path.read_text() for path in files.folder.glob("*token*.json"))
            left_out = set(files.left_out)
    except CheckpointError as error:
        said = str(error)
    assert canary.words not in texts
    assert {f"tokenizer_config.json: {argument}" for argument in arguments} <= left_out or "no fast tokenizer" in said


def test_what_was_left_out_is_told(honest, tmp_path):
    folder = shutil.copytree(honest("bert"), tmp_path / "more")
    edit(
        folder,
        "config.json",
        auto_map={"AutoModel": "own.Own"},
        gradient_checkpointing=False,
        layer_norm_eps=1e-5,
        of_nobody=3,
    )
    edit(folder, "tokenizer_config.json", chat_template=3)
    loaded = load_checkpoint(folder)
    assert {"config.json: auto_map", "config.json: of_nobody", "tokenizer_config.json: chat_template"} <= {
        *loaded.left_out
    }
    assert "config.json: gradient_checkpointing" in loaded.left_out, "how memory is saved is ours to say"
    assert "config.json: layer_norm_eps" not in loaded.left_out
    own = ("config.json: dtype", "config.json: use_cache", "tokenizer_config.json: backend")
    assert load_checkpoint("demo/finetuned").left_out == own


def test_a_name_that_tells_which_tokenizer_is_meant_is_read():
    for key, value, kept in (
        ("_name_or_path", "deepseek-ai/DeepSeek-R1-Distill-Llama-8B", True),
        ("_name_or_path", "deepseek-ai/deepseek-r1-distill-llama-/../../etc", False),
        ("_name_or_path", "lab/other", False),
        ("model_name", "camembertv2-base", True),
        ("model_name", "other", False),
        ("transformers_version", "4.30.0.dev0", True),
    ):
        found, left_out = allowed_config({"model_type": "bert", key: value}, "it")
        assert (found.get(key) == value, left_out) == (kept, () if kept else (key,))


def test_no_setting_is_left_out_that_a_fast_tokenizer_takes():
    never = {"self", "args", "kwargs", "_spm_precompiled_charsmap", "backend", *TAKEN_AS_A_PATH}
    for name in arguments_that_take_a_path():
        tokenizer_class = tokenizer_class_from_name(name)
        if issubclass(tokenizer_class, TokenizersBackend):
            taken = set(inspect.signature(tokenizer_class.__init__).parameters) - never
            settings = dict.fromkeys(argument for argument in taken if not argument.endswith("_file"))
            _, left_out = allowed_settings({key: [0] * 4 if key.endswith("_box") else None for key in settings})
            assert left_out == [], name


# What the code of a model computes itself, or reads of a configuration inside another one.
COMPUTED = set(
    "attention_layers dense_act_fn is_gated_act n_positions final_w_init_variance_scale json "
    "max_value_projector_patch_to_query_dict nemo_final_size merged_hidden_size conv_output_size".split()
)
OF_ANOTHER = {
    "dots3_note",
    "dots3_note_text",
    "modernvbert",
    "ultravbert",
    "got_ocr2",
    "moss_transcribe_diarize",
    "aria_text",
}


def test_no_key_is_left_out_that_the_code_of_a_model_reads():
    """Of every architecture that is accepted, by the source of transformers as it is installed."""
    lacking = {}
    for model_type, config_class in CONFIG_MAPPING.items():
        try:
            check_supported({"model_type": model_type}, "it")
        except CheckpointError:
            continue
        module = sys.modules[config_class.__module__]
        classes = [c for c in vars(module).values() if isinstance(c, type) and issubclass(c, PreTrainedConfig)]
        known = {field.name for c in classes for field in fields(c)} | {a for c in classes for a in c.attribute_map}
        known |= {name for c in classes for name in dir(c)} | READ_UNDECLARED | COMPUTED
        source = inspect.getsource(module)
        read = set(re.findall(r'kwargs\.(?:pop|get|setdefault)\(\s*"(\w+)"', source))
        model_class = MODEL_MAPPING.get(config_class, None)
        if model_class is not None:
            model_class = model_class[0] if isinstance(model_class, tuple) else model_class
            source = inspect.getsource(sys.modules[model_class.__module__])
        read |= set(re.findall(r"\bconfig\.(\w+)", source))
        read |= set(re.findall(r'getattr\(\s*(?:self\.)?config,\s*"(\w+)"', source))
        if read - known and model_type not in OF_ANOTHER:
            lacking[model_type] = sorted(read - known)
    assert lacking == {}


def test_links_within_a_folder_and_into_the_cache_of_the_hub_are_followed(honest, tmp_path):
    folder = shutil.copytree(honest("bert"), tmp_path / "inside")
    (folder / "model.safetensors").rename(folder / "weights")
    (folder / "model.safetensors").symlink_to("weights")
    assert load_checkpoint(folder).n_layers == 3
    snapshot, blobs = tmp_path / "models--a--b" / "snapshots" / "1", tmp_path / "models--a--b" / "blobs"
    snapshot.mkdir(parents=True), blobs.mkdir()
    for number, path in enumerate(honest("bert").iterdir()):
        shutil.copy(path, blobs / str(number))
        (snapshot / path.name).symlink_to(f"../../blobs/{number}")
    assert load_checkpoint(snapshot).n_layers == 3


# ---- sizes


@pytest.mark.parametrize("hostile", SIZES, ids=lambda hostile: hostile.name)
def test_a_size_is_refused_before_anything_is_built(hostile, honest, canary, tmp_path, monkeypatch):
    folder = hostile.make(honest(hostile.model_type), tmp_path / "repository", canary)
    if hostile.name not in ("masks", "vocabulary"):  # they are told by the shape of a model without memory
        monkeypatch.setattr("attnflow.checkpoints.checkpoint.read_model", lambda *_: pytest.fail("a model is built"))
        monkeypatch.setattr(
            "attnflow.checkpoints.tokenizer_reader.read_tokenizer", lambda *_: pytest.fail("a tokenizer is built")
        )
    with pytest.raises(CheckpointError, match=hostile.refused) as caught:
        load_checkpoint(folder)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize("name", ["tokenizer-bytes", "sentencepiece-bytes"])
def test_a_large_tokenizer_is_refused_before_it_is_downloaded(name, hub, honest, canary, tmp_path, monkeypatch):
    hostile = next(hostile for hostile in SIZES if hostile.name == name)
    monkeypatch.setattr(limits, "MAX_TOKENIZER_BYTES", 10**6)
    folder = shutil.copytree(honest("bert"), tmp_path / "repository")
    file = "tokenizer.json" if name == "tokenizer-bytes" else "spm.model"
    (folder / file).write_bytes(b" " * (2 * 10**6))
    hub.add(f"evil/{name}", folder)
    with pytest.raises(CheckpointError, match=re.sub(r"\d+\.0 MB", "2.0 MB", hostile.refused)):
        load_checkpoint(f"evil/{name}")
    assert not any(request.path.endswith(file) for request in hub.requests if f"evil/{name}" in request.path)


def test_all_of_them_together_take_little_memory(honest, canary, tmp_path):
    """In a process of its own, whose peak is that of these repositories."""
    folders = [
        str(hostile.make(honest(hostile.model_type), tmp_path / hostile.name, canary))
        for hostile in SIZES
        if "values" not in hostile.name
    ]
    code = (
        "import resource, sys\n"
        "from attnflow import CheckpointError, load_checkpoint\n"
        "from attnflow.checkpoints.checkpoint import check_supported\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
        "load_checkpoint(sys.argv[1])\n"
        "before = peak()\n"
        "for folder in sys.argv[2:]:\n"
        "    try:\n"
        "        load_checkpoint(folder)\n"
        "        sys.exit(f'{folder} was loaded')\n"
        "    except CheckpointError:\n"
        "        pass\n"
        "print(peak() - before)\n"
    )
    assert int(printed(code, str(honest("bert")), *folders).split()[-1]) < 100 * 10**6


def test_a_trace_that_is_too_large_is_refused_with_the_remedy(honest, monkeypatch):
    loaded = load_checkpoint(honest("bert"))
    encoding = encode(loaded, *PAIR)
    size = len(encoding.tokens)
    trace = capture(loaded, encoding)
    assert trace_bytes(loaded, size) == trace.attention.nbytes + trace.hidden.nbytes + trace.head_output.nbytes
    monkeypatch.setattr(limits, "MAX_TRACE_BYTES", trace_bytes(loaded, size))
    check_trace(loaded, size)
    monkeypatch.setattr(limits, "MAX_TRACE_BYTES", trace_bytes(loaded, size) - 1)
    with pytest.raises(TextError, match=rf"3 layers of 4 heads.*{size} tokens.*shorten the text to {size - 1} tokens"):
        check_trace(loaded, size)
    monkeypatch.setattr(limits, "MAX_TRACE_BYTES", 100)
    with pytest.raises(TextError, match="choose a smaller model"):
        check_trace(loaded, size)


def test_neither_page_nor_endpoints_run_what_records_too_much(monkeypatch):
    monkeypatch.setattr(limits, "MAX_TRACE_BYTES", 100)
    monkeypatch.setattr("attnflow.runtime.attention_hook.record", lambda *_, **__: pytest.fail("it runs"))
    for run in (workspace.case,):
        with pytest.raises(TextError, match=r"4 layers of 4 heads.*choose a smaller model"):
            run("demo/finetuned", "A text that nobody has run.", "Nor this one.")


def test_layers_that_share_their_weights_are_not_free(tmp_path):
    """A small file: 200 layers of 256 heads are 3.4 GB of attention on 128 tokens."""
    folder = make_checkpoint(
        tmp_path / "albert", "albert", num_hidden_layers=200, num_attention_heads=256, hidden_size=256
    )
    loaded = load_checkpoint(folder)
    assert loaded.n_parameters < 10**6
    with pytest.raises(TextError, match=r"200 layers of 256 heads.*shorten the text to \d+ tokens"):
        check_trace(loaded, len(encode_bounded(loaded, "a " * 60, "b " * 60).tokens))


def test_the_bundled_checkpoints_are_read_as_any_other():
    for name in ("demo/pretrained", "demo/finetuned"):
        with watched(ASSETS / name) as watch:
            load_checkpoint(name)
        assert watch.opened == []
