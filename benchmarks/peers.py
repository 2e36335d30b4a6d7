"""transformers + PEFT, as their documentation and the defaults of their Trainer have it."""

import warnings

import numpy as np
import torch
from loralab.training.batches import collate
from loralab.training.labelled import LabelledTexts
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import GPT2Config, GPT2ForSequenceClassification

from benchmarks.conditions import (
    ALPHA,
    GRADIENT_CLIP,
    LEARNING_RATE,
    RANK,
    WEIGHT_DECAY,
    Conditions,
)

# PEFT still asks transformers by an old name.
warnings.filterwarnings("ignore", ".is_gradient_checkpointing", FutureWarning)


def build_model(dropout: float, stored: torch.dtype) -> PeftModel:
    """GPT-2 124M with random weights, LoRA on every linear layer of its blocks, and a head.

    The base model is stored in the dtype given; PEFT keeps what is trained in float32.
    """
    config = GPT2Config(
        embd_pdrop=dropout,
        attn_pdrop=dropout,
        resid_pdrop=dropout,
        num_labels=2,
        use_cache=False,  # as the Trainer sets it
    )
    config.pad_token_id = config.eos_token_id
    lora = LoraConfig(
        r=RANK,
        lora_alpha=ALPHA,
        target_modules=["c_attn", "c_proj", "c_fc"],
        fan_in_fan_out=True,
        task_type="SEQ_CLS",
    )
    return get_peft_model(GPT2ForSequenceClassification(config).to(stored), lora)


class PeftLoop:
    """A training loop around PEFT's model, batches padded to their longest message.

    With `precision` bf16 it computes under autocast, which leaves weights `stored` in bf16 as they
    are and casts those in float32 anew at every product.
    """

    def __init__(
        self, train: LabelledTexts, conditions: Conditions, precision: str, stored: torch.dtype
    ):
        self.train, self.device = train, torch.device(conditions.device)
        self.labels = torch.from_numpy(train.labels).to(self.device)
        self.model = build_model(conditions.dropout, stored).to(self.device).train()
        self.padding_id = self.model.config.pad_token_id
        self.autocasts = precision == "bf16"
        self.trainable = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.trainable,
            lr=LEARNING_RATE,
            weight_decay=WEIGHT_DECAY,
            fused=True,  # as the Trainer sets it
        )

    def take(self, batches: list[np.ndarray]) -> None:
        """One optimiser step on each batch."""
        for rows in batches:
            self.step(rows)

    def step(self, rows: np.ndarray) -> None:
        """One optimiser step on the messages in `rows`."""
        ids, lengths = collate(self.train.texts, rows, self.padding_id, None, self.device)
        places = torch.arange(ids.shape[1], device=self.device)
        mask = (places < lengths[:, None]).long()
        labels = self.labels[torch.from_numpy(rows).to(self.device)]
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocasts):
            loss = self.model(input_ids=ids, attention_mask=mask, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.trainable, GRADIENT_CLIP)
        self.optimizer.step()
        self.optimizer.zero_grad()
