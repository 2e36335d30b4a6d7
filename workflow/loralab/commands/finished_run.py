"""Finding the files of a finished run by what its manifests recorded."""

from pathlib import Path

from loralab.config import build
from loralab.errors import LoralabError
from loralab.provenance import MANIFEST, check_inputs, read_json
from loralab.stages.layout import Layout


def layout_of(run: Path) -> Layout:
    """The layout of a finished run, by the settings in the manifest of its evaluation."""
    run = run.resolve()
    path = run / "evaluate" / MANIFEST
    try:
        recorded = read_json(path)["fingerprint"]["settings"]
    except (KeyError, TypeError):
        recorded = None
    if not isinstance(recorded, dict) or not recorded:
        raise LoralabError(f"{path} holds no settings; run the pipeline again")
    settings = {**recorded, "experiment": run.name, "mirror": None}
    resources = run.parent.parent / "resources"
    try:
        layout = Layout(build(settings), results=run.parent, resources=resources)
        model_files = [*layout.base_files, *layout.tokenizer_files, *layout.adapter_files]
    except (AttributeError, TypeError):
        raise LoralabError(f"{path} holds damaged settings; run the pipeline again") from None
    check_inputs(path, [file for file in model_files if file.name != MANIFEST])
    return layout
