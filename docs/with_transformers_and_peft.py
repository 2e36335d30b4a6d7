"""A finished run's predictions again, by transformers and PEFT alone.

    python docs/with_transformers_and_peft.py results/embedded resources/base/embedded-gpt2 \
        resources/tokenizer/embedded-bpe
"""

import csv
import sys

import torch
from peft import PeftModel
from transformers import GPT2ForSequenceClassification, GPT2Tokenizer

run, base, files = sys.argv[1:]
words = GPT2Tokenizer(f"{files}/encoder.json", f"{files}/vocab.bpe")
model = GPT2ForSequenceClassification.from_pretrained(base, pad_token_id=words.eos_token_id)
model = PeftModel.from_pretrained(model, f"{run}/train/adapter").eval()
texts = {
    (split, row["id"]): row["text"]
    for split in ("train", "validation", "test")
    for row in csv.DictReader(open(f"{run}/split/{split}.csv", newline="", encoding="utf-8"))
}
largest = 0.0
for row in csv.DictReader(open(f"{run}/evaluate/predictions.csv", newline="", encoding="utf-8")):
    ids = words(texts[row["split"], row["id"]], return_tensors="pt", truncation=True, max_length=256)
    with torch.no_grad():
        found = model(ids["input_ids"]).logits.softmax(dim=-1)[0]
    expected = torch.tensor([float(p) for name, p in row.items() if name.startswith("p_")])
    largest = max(largest, (found - expected).abs().max().item())
print(f"{len(texts)} messages, largest difference of a probability {largest:.1e}")
