"""The command `loralab` on a finished run."""

import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path

import pandas as pd
import pytest
import safetensors.torch
import torch
import transformers
from loralab.cli import main
from loralab.commands.verify_weights import PUBLISHED
from loralab.model.checkpoints import to_file_layout
from loralab.model.gpt2 import GPT2
from loralab.model.shapes import SIZES
from loralab.model.tensor_hashes import read_tensor_table
from peft import LoraConfig, PeftModel, get_peft_model
from project import ROOT


def command(*arguments: object, stdin: bytes = b"") -> subprocess.CompletedProcess:
    """Run `loralab` in this process, which spares importing torch; texts as bytes."""
    raw, errors = BytesIO(), StringIO()
    output = TextIOWrapper(raw, encoding="utf-8", newline="")
    with (
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(output),
        redirect_stderr(errors),
    ):
        patch.setattr(sys, "stdin", TextIOWrapper(BytesIO(stdin), encoding="utf-8"))
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as ended:
            status = ended.code
    if isinstance(status, str):  # which Python itself prints, and ends with 1
        errors.write(f"{status}\n")
        status = 1
    output.flush()
    return subprocess.CompletedProcess(arguments, status or 0, raw.getvalue(), errors.getvalue())


def classify(folder: Path, *arguments: object, stdin: bytes = b"") -> subprocess.CompletedProcess:
    """Run `loralab classify` on the finished run."""
    return command("classify", "--run", folder / "results" / "embedded", *arguments, stdin=stdin)


def answers(done: subprocess.CompletedProcess) -> pd.DataFrame:
    """The table that a command wrote; the test fails where the command did."""
    assert done.returncode == 0, done.stderr
    return pd.read_csv(BytesIO(done.stdout))


def test_the_command_is_installed_and_answers(finished):
    done = subprocess.run(
        [
            Path(sys.executable).with_name("loralab"),
            "classify",
            "--run",
            "results/embedded",
            "hello",
        ],
        cwd=finished,
        capture_output=True,
    )
    assert answers(done).equals(answers(classify(finished, "hello")))


def test_classify_gives_a_text_the_probability_that_evaluate_gave_it(finished):
    run = finished / "results" / "embedded"
    predictions = pd.read_csv(run / "evaluate" / "predictions.csv")
    predictions = predictions[predictions["split"] == "test"].head(5)
    texts = pd.read_csv(run / "split" / "test.csv").set_index("id")["text"]
    chosen = [texts[number] for number in predictions["id"]]
    answered = answers(classify(finished, *chosen))
    assert (answered["p_spam"] - predictions["p_spam"].to_numpy()).abs().max() < 1e-5
    assert list(answered["predicted"]) == list(predictions["predicted"])


def test_classify_answers_alike_for_arguments_lines_and_a_csv_column(finished, tmp_path):
    texts = ["win a prize, call now", "lunch, tomorrow?"]
    pd.DataFrame({"id": [1, 2], "said": texts}).to_csv(tmp_path / "new.csv", index=False)
    by_argument = classify(finished, *texts)
    by_line = classify(finished, stdin="\n".join(texts).encode() + b"\n")
    by_column = classify(finished, "--csv", tmp_path / "new.csv", "--column", "said")
    assert list(answers(by_argument)["text"]) == texts
    assert by_argument.stdout == by_line.stdout == by_column.stdout


def test_classify_writes_a_text_of_several_lines_so_that_it_reads_back(finished):
    text = "win a prize\r\ncall\rnow"
    assert list(answers(classify(finished, text))["text"]) == [text]


def test_classify_takes_the_folder_that_it_is_called_in(finished, monkeypatch):
    monkeypatch.chdir(finished / "results" / "embedded")
    done = command("classify", "--run", ".", "hello")
    assert done.returncode == 0, done.stderr
    assert done.stdout == classify(finished, "hello").stdout


def test_classify_refuses_a_base_model_that_was_made_anew_since(finished, tmp_path):
    for name in ("results", "resources"):
        shutil.copytree(finished / name, tmp_path / name)
    assert classify(tmp_path, "hello").returncode == 0
    weights = tmp_path / "resources" / "base" / "embedded-gpt2" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    failed = classify(tmp_path, "hello")
    assert (failed.returncode, failed.stdout) == (1, b"")
    assert "model.safetensors is not the file that the run was evaluated with" in failed.stderr


def test_classify_names_the_line_of_standard_input_that_is_not_utf8(finished):
    failed = classify(finished, stdin=b"hello\ncaf\xe9\n")
    assert failed.returncode == 1
    assert failed.stderr == "loralab: error: standard input line 2 is not UTF-8; convert it\n"


def test_classify_names_the_columns_of_a_file_that_lacks_the_one_asked_for(finished, tmp_path):
    (tmp_path / "new.csv").write_text("id,said\n1,hello\n")
    failed = classify(finished, "--csv", tmp_path / "new.csv")
    assert failed.returncode == 1
    assert "no one column 'text'" in failed.stderr and "id, said" in failed.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["hello", "  "], "text 2"),
        (["--csv", "blank.csv"], "blank.csv row 2"),
        (["--csv", "empty.csv"], "its columns are: none"),
        (["--csv", "latin.csv"], "latin.csv line 2: byte 0xe9"),
        (["--csv", "blank.csv", "hello"], "not both"),
        (["--device", "tpu", "hello"], "invalid choice"),
    ],
)
def test_classify_refuses_what_it_cannot_answer_in_one_line(
    finished, tmp_path, monkeypatch, arguments, complaint
):
    (tmp_path / "blank.csv").write_text('text\nhello\n" "\n')
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "latin.csv").write_bytes("text\ncaf\xe9\n".encode("latin-1"))
    monkeypatch.chdir(tmp_path)
    failed = classify(finished, *arguments)
    assert failed.returncode != 0 and failed.stdout == b""
    assert complaint in failed.stderr and "Traceback" not in failed.stderr


@pytest.mark.parametrize("run", ["results", "nowhere"])
def test_classify_says_so_where_there_is_no_finished_run(finished, run):
    failed = command("classify", "--run", finished / run, "hello")
    assert failed.returncode == 1
    assert "Traceback" not in failed.stderr and "manifest.json" in failed.stderr


# --- with transformers and PEFT ---------------------------------------------------------------


def _said(*arguments: object) -> str:
    """What a command prints; the test fails where the command does."""
    done = command(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


def _refusal(*arguments: object) -> str:
    """What a command says when it refuses."""
    failed = command(*arguments)
    assert failed.returncode == 1 and failed.stderr.startswith("loralab: error: ")
    return failed.stderr.strip()


def test_transformers_and_peft_alone_reproduce_the_predictions(finished):
    script = ROOT / "docs" / "with_transformers_and_peft.py"
    done = subprocess.run([sys.executable, script], cwd=finished, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = done.stdout.strip()
    assert said.startswith("largest difference of a probability:")
    assert float(said.split()[-1]) < 1e-5


def test_a_merged_export_is_a_text_classifier_of_transformers(finished, tmp_path):
    run, folder = finished / "results" / "embedded", tmp_path / "merged"
    said = _said("export", "--merged", "--run", run, "--to", folder)
    tests = len(pd.read_csv(run / "split" / "test.csv"))
    assert f"merged in float32. Of {tests} test messages" in said and "; 0 labels differ." in said
    assert {path.name for path in folder.iterdir()} == {
        *("model.safetensors", "config.json"),
        *("vocab.json", "merges.txt", "tokenizer_config.json"),
    }
    classifier = transformers.pipeline("text-classification", model=str(folder), top_k=None)
    predictions = pd.read_csv(run / "evaluate" / "predictions.csv")
    predictions = predictions[predictions["split"] == "test"].head(20)
    texts = pd.read_csv(run / "split" / "test.csv").set_index("id")["text"]
    answers = classifier([texts[number] for number in predictions["id"]], truncation=True)
    for answer, row in zip(answers, predictions.itertuples(), strict=True):
        scores = {entry["label"]: entry["score"] for entry in answer}
        assert scores["spam"] == pytest.approx(row.p_spam, abs=1e-4)
        assert scores["ham"] == pytest.approx(row.p_ham, abs=1e-4)


def test_an_export_in_bf16_says_what_rounding_cost(finished, tmp_path):
    run, folder = finished / "results" / "embedded", tmp_path / "merged"
    arguments = ("export", "--merged", "--run", run, "--to", folder, "--precision", "bf16")
    said = _said(*arguments)
    largest = float(re.search(r"largest change of a logit is (\S+);", said).group(1))
    assert 1e-4 < largest < 1
    assert re.search(r"; \d+ labels differ\.$", said.strip())
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.bfloat16}


def test_an_export_never_overwrites(finished, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    run = finished / "results" / "embedded"
    assert "is there already; name a folder that is not" in _refusal(
        "export", "--merged", "--run", run, "--to", tmp_path
    )
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_classify_takes_an_adapter_that_went_through_peft(finished, tmp_path):
    run = finished / "results" / "embedded"
    stock = transformers.GPT2ForSequenceClassification.from_pretrained(
        finished / "resources" / "base" / "embedded-gpt2"
    )
    PeftModel.from_pretrained(stock, run / "train" / "adapter").save_pretrained(tmp_path)
    text = "win a prize, call now"
    own = pd.read_csv(StringIO(_said("classify", "--run", run, text)))
    said = _said("classify", "--run", run, "--adapter", tmp_path, text)
    theirs = pd.read_csv(StringIO(said))
    assert theirs["p_LABEL_1"][0] == pytest.approx(own["p_spam"][0], abs=1e-5)


def test_classify_refuses_an_adapter_of_a_language_model(finished, tmp_path):
    stock = transformers.GPT2LMHeadModel.from_pretrained(
        finished / "resources" / "base" / "embedded-gpt2"
    )
    config = LoraConfig(task_type="CAUSAL_LM", target_modules=["c_attn"])
    get_peft_model(stock, config).save_pretrained(tmp_path)
    run = finished / "results" / "embedded"
    said = _refusal("classify", "--run", run, "--adapter", tmp_path, "hello")
    assert said.endswith(f"{tmp_path} has 0 labels; a classifier's adapter has two or more")


def test_classify_refuses_an_adapter_of_another_base_model(finished, tmp_path):
    run = finished / "results" / "embedded"
    shutil.copytree(run / "train" / "adapter", tmp_path / "adapter")
    path = tmp_path / "adapter" / "adapter_model.safetensors"
    with safetensors.safe_open(path, framework="pt") as file:
        description = json.loads(file.metadata()["loralab"])
    description["base_sha256"] = "0" * 64
    tensors = safetensors.torch.load_file(path)
    safetensors.torch.save_file(tensors, path, metadata={"loralab": json.dumps(description)})
    said = _refusal("classify", "--run", run, "--adapter", tmp_path / "adapter", "hello")
    assert "was trained on another base model of the same shape" in said


# --- verify-weights -------------------------------------------------------------------------------


def test_weights_are_what_their_own_table_lists(finished):
    base = finished / "resources" / "base" / "embedded-gpt2"
    weights, table = base / "model.safetensors", base / "tensors.csv"
    said = _said("verify-weights", weights, "--manifest", table)
    assert said.startswith(f"{weights}: all 28 tensors are what {table} lists")


def test_every_tensor_that_differs_from_the_table_is_named(finished, tmp_path):
    base = finished / "resources" / "base" / "embedded-gpt2"
    tensors = safetensors.torch.load_file(base / "model.safetensors")
    tensors["h.0.ln_1.weight"][3] += 1e-6
    tensors["h.1.ln_1.weight"] = tensors["h.1.ln_1.weight"].half()
    tensors["wpe.weight"] = tensors["wpe.weight"].T.contiguous()
    tensors["h.7.ln_1.bias"] = tensors.pop("h.1.ln_1.bias")
    safetensors.torch.save_file(tensors, tmp_path / "model.safetensors")
    said = _refusal(
        "verify-weights", tmp_path / "model.safetensors", "--manifest", base / "tensors.csv"
    )
    for line in (
        "h.0.ln_1.weight has SHA-256 ",
        "h.1.ln_1.weight has the type float16, expected float32",
        "wpe.weight has the shape 16x256, expected 256x16",
        "h.1.ln_1.bias is missing",
        "h.7.ln_1.bias is unexpected",
    ):
        assert line in said
    assert said.count("\n") == 5


def test_a_small_model_is_not_the_published_one(finished):
    weights = finished / "resources" / "base" / "embedded-gpt2" / "model.safetensors"
    said = _refusal("verify-weights", weights)
    assert "is not what OpenAI published as GPT-2 124M" in said
    assert "tensor h.11.attn.c_attn.weight is missing" in said


def test_the_published_table_has_every_tensor_of_gpt2_and_its_shape():
    table = read_tensor_table(PUBLISHED)
    with torch.device("meta"):
        expected = to_file_layout(GPT2(SIZES["gpt2"]))
    shapes = {name: "x".join(map(str, tensor.shape)) for name, tensor in expected.items()}
    assert dict(zip(table["tensor"], table["shape"], strict=True)) == shapes
    assert len(table) == 148
    assert table["sha256"].str.fullmatch("[0-9a-f]{64}").all() and table["sha256"].is_unique


@pytest.mark.skipif(not os.environ.get("LORALAB_MIRROR"), reason="$LORALAB_MIRROR is not set")
def test_the_published_table_is_that_of_the_manifest_in_the_mirror():
    path = Path(os.environ["LORALAB_MIRROR"]) / "gpt2_124M_tensor_manifest.json"
    if not path.exists():
        pytest.skip(f"{path.name} is not in $LORALAB_MIRROR")
    hashes = {entry["sha256_f32le"] for entry in json.loads(path.read_text()).values()}
    assert set(read_tensor_table(PUBLISHED)["sha256"]) == hashes


@pytest.mark.parametrize("content", ["", "tensor,shape\n", "a,b,c,d\n1,2,3,4\n", "\x00\xff"])
def test_a_table_that_is_none_is_refused(tmp_path, content):
    (tmp_path / "table.csv").write_text(content, encoding="latin-1")
    said = _refusal("verify-weights", tmp_path / "x", "--manifest", tmp_path / "table.csv")
    assert "table.csv" in said


@pytest.mark.parametrize("content", [b"", b"\x80\x04.", b"\xff" * 99])
def test_weights_that_are_no_safetensors_are_refused(tmp_path, content):
    (tmp_path / "model.safetensors").write_bytes(content)
    assert "no sound safetensors file" in _refusal("verify-weights", tmp_path / "model.safetensors")
    assert "missing" in _refusal("verify-weights", tmp_path / "absent.safetensors")
