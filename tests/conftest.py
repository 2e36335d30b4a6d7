"""What all tests share."""

import threading
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import hypothesis
import pytest
import torch
from local_server import Handler
from loralab.config import Lora, build
from loralab.config_file import load_mapping, merge
from loralab.fetching import downloads
from loralab.model.tensor_hashes import tensors_sha256
from torch import nn
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

# The same examples every time, however slow the machine.
hypothesis.settings.register_profile("fixed", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("fixed")

CONFIG = Path(__file__).parents[1] / "config.yaml"
PIPELINE = "tests/pipeline/"  # where the tests lie that take longest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where processes share the tests, those of the pipeline come first."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: not item.nodeid.startswith(PIPELINE))


@pytest.hookimpl(optionalhook=True)  # unknown where pytest runs without xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    return ByExperiment(config, log)


class ByExperiment(LoadFileScheduling):
    """The tests of a file go to one process, those of the pipeline's finished experiment too."""

    def _split_scope(self, nodeid: str) -> str:
        # Marks of xdist_group would say it more simply, and with this pytest do nothing.
        file = super()._split_scope(nodeid)
        without = file.endswith(("test_split_stage.py", "test_sweep.py"))
        return "finished" if file.startswith(PIPELINE) and not without else file


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Models this small are slower on more, and sums round otherwise."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def frozen_hash() -> Callable[[nn.Module], str]:
    """SHA-256 over the frozen tensors of a model."""
    return lambda model: tensors_sha256(
        {name: p for name, p in model.named_parameters() if not p.requires_grad}
    )


@pytest.fixture(scope="session")
def lora() -> Callable[..., Lora]:
    """The section `lora` of config.yaml, with changes."""
    defaults = load_mapping([str(CONFIG)])["lora"]

    def settings(**changes) -> Lora:
        return build(merge(defaults, changes), Lora)

    return settings


@pytest.fixture
def server(monkeypatch):
    """A server on this machine with `good.tsv` and `bad.tsv`, which notes what it is asked."""
    for name in ("LORALAB_MIRROR", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(downloads, "PAUSE", 0.001)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.asked = []
        running.answers = {
            "/good.tsv": Handler.send_rest,
            "/bad.tsv": lambda handler: handler.send(b"other"),
        }
        running.url = f"http://127.0.0.1:{running.server_address[1]}"
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}).start()
        yield running
        running.shutdown()
