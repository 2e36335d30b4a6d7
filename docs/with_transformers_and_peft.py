"""A finished run's predictions again, by transformers and PEFT: run it where the pipeline ran."""

import pandas
from peft import PeftModel
from transformers import GPT2ForSequenceClassification, GPT2Tokenizer

run, base, files = (
    "results/embedded",
    "resources/base/embedded-gpt2",
    "resources/tokenizer/embedded-bpe",
)
tokenizer = GPT2Tokenizer(f"{files}/encoder.json", f"{files}/vocab.bpe")
model = GPT2ForSequenceClassification.from_pretrained(base, pad_token_id=tokenizer.eos_token_id)
model = PeftModel.from_pretrained(model, f"{run}/train/adapter").eval()
predictions = pandas.read_csv(f"{run}/evaluate/predictions.csv")
splits = [
    pandas.read_csv(f"{run}/split/{name}.csv", dtype=str, keep_default_na=False)
    for name in predictions["split"].unique()
]
ids = [
    tokenizer(text, truncation=True, max_length=256, return_tensors="pt")["input_ids"]
    for text in pandas.concat(splits)["text"]
]
found = [model(row).logits.softmax(dim=-1)[0, 1].item() for row in ids]
print("largest difference of a probability:", (predictions["p_spam"] - found).abs().max())
