"""What the documents point at is there."""

import re
from html import unescape
from pathlib import Path

import pytest
import yaml
from loralab.config import RUNTIME_SETTINGS
from loralab.reporting.report import SECTIONS

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    *("README.md", "CONTRIBUTING.md", "results/README.md", "benchmarks/README.md"),
    *("docs/example/report.md", "docs/performance.md"),
]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_relative_link_leads_to_a_file(document):
    path = ROOT / document
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", path.read_text(encoding="utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_the_example_is_small_enough_to_carry():
    files = [path for path in (ROOT / "docs" / "example").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 1_000_000
    assert len([path for path in files if path.suffix == ".png"]) == 14


def test_the_example_was_made_with_the_settings_of_config_yaml():
    report = (ROOT / "docs" / "example" / "report.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"^\| `((?:lora|training)\.[\w.]+)` \| (.*) \|$", report, re.MULTILINE))
    config = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    expected = {
        name: "none" if value in (None, [], {}) else str(value)
        for section in ("lora", "training")
        for name, value in _leaves(section, config[section])
        if name not in RUNTIME_SETTINGS
    }
    assert {key: unescape(value) for key, value in shown.items()} == expected


def _leaves(name, value):
    if isinstance(value, dict) and value:
        for key, part in value.items():
            yield from _leaves(f"{name}.{key}", part)
    else:
        yield name, value


def test_the_example_has_the_headings_of_the_reports_template():
    def headings(text):
        return re.findall(r"^#{2,3} .*", text, re.MULTILINE)

    example = (ROOT / "docs" / "example" / "report.md").read_text(encoding="utf-8")
    folder = ROOT / "workflow" / "loralab" / "reporting"
    sections = (part for part in SECTIONS if part != "sweep.md.j2")  # the example has no sweep
    texts = [(folder / part).read_text(encoding="utf-8") for part in sections]
    template = (folder / "report.md.j2").read_text(encoding="utf-8")
    assert headings(example) == headings(
        template.replace("{% include section %}", "\n".join(texts))
    )
