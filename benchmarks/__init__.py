"""Side-by-side measurements of loralab against the lab's recipe and against transformers + PEFT."""
