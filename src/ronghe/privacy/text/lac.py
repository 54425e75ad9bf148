"""Names of persons by LAC's weights: a port of the network to numpy, since its framework is no more.

Source: Jiao, Sun and Sun, "Chinese Lexical Analysis with Deep Bi-GRU-CRF Network" (2018); weights and dictionaries of
the PyPI package `lac` 2.1.2 (Baidu, Apache-2.0). The package itself imports paddle.fluid, which was given up, so it is
found by its place and never imported. The text is cut into words (most probable path through a dictionary); what the
network's vocabulary does not have is fed sign by sign. Two layers of bidirectional GRU of 128 units, then a linear
chain CRF over 49 labels.
"""

import math
import re
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Span = tuple[int, int]

_LAYERS: Final = 2
_BATCH: Final = 64
# Longer texts are cut at a full stop near here: memory grows with the longest text of a batch.
_LONGEST: Final = 256
_UNKNOWN: Final = "OOV"
_PERSON: Final = ("PER-B", "PER-I")
_ASCII: Final = re.compile(r"[a-zA-Z0-9]")
_STOP: Final = re.compile(r"[。！？；\n]")


def weights_folder() -> Path:
    """Return the folder of LAC's weights.

    Raises:
        FileNotFoundError: the package is not installed.
    """
    spec = find_spec("LAC")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("LAC's weights are missing: the package `lac` is not installed. Run `make setup`.")
    return Path(next(iter(spec.submodule_search_locations))) / "lac_model"


def read_weights(path: Path) -> Array:
    """Return one tensor in Paddle's format: version, level of detail, version, description, 32-bit floats."""
    content = path.read_bytes()
    size = int.from_bytes(content[16:20], "little")
    shape = _dimensions(content[20 : 20 + size])
    return np.frombuffer(content, np.float32, offset=20 + size).reshape(shape)


def _dimensions(description: bytes) -> list[int]:
    """Return the `dims` of a TensorDesc message: field 1 is the type (5, 32-bit float), field 2, repeated, a size."""
    if description[:2] != b"\x08\x05":
        raise ValueError("not a tensor of 32-bit floats")
    found, at = [], 2
    while at < len(description):
        value, shift, at = 0, 0, at + 1
        while True:
            byte = description[at]
            value, shift, at = value | (byte & 0x7F) << shift, shift + 7, at + 1
            if byte < 0x80:
                break
        found.append(value)
    return found


class _Segmenter:
    """Cuts a text into the words of a dictionary: the path with the greatest product of frequencies."""

    def __init__(self, path: Path) -> None:
        pairs = [line.rsplit(" ", 1) for line in path.read_text("utf-8").splitlines()]
        total = math.log(sum(int(count) for _, count in pairs))
        self._unseen = -total
        # A count of zero weighs as one; beginnings of words, which are none themselves, have no weight.
        self._weights: dict[str, float | None] = {}
        for word, count in pairs:
            self._weights[word] = math.log(int(count) or 1) - total
            for end in range(1, len(word)):
                self._weights.setdefault(word[:end], None)

    def cut(self, text: str) -> Iterator[str]:
        """Yield the words; single letters and digits that follow one another are one word."""
        best = self._best_ends(text)
        at, run = 0, ""
        while at < len(text):
            word = text[at : best[at]]
            at = best[at]
            if len(word) == 1 and _ASCII.match(word):
                run += word
                continue
            if run:
                yield run
                run = ""
            yield word
        if run:
            yield run

    def _best_ends(self, text: str) -> list[int]:
        """Return, for each place, where the word that begins there ends on the best path from there."""
        size, weights = len(text), self._weights
        scores, ends = [0.0] * (size + 1), [0] * size
        for start in range(size - 1, -1, -1):
            weight = weights.get(text[start])
            best, best_end = (self._unseen if weight is None else weight) + scores[start + 1], start + 1
            for end in range(start + 2, size + 1):
                word = text[start:end]
                if word not in weights:
                    break
                weight = weights[word]
                if weight is not None and weight + scores[end] >= best:
                    best, best_end = weight + scores[end], end
            scores[start], ends[start] = best, best_end
        return ends


class Lac:
    """The network; loading takes about half a second and 60 MB."""

    def __init__(self, folder: Path | None = None) -> None:
        folder = folder or weights_folder()
        conf, model = folder / "conf", folder / "model"
        self._segmenter = _Segmenter(conf / "small_seg.dic")
        self._words = {word: int(number) for number, word in _pairs(conf / "word.dic")}
        self._replaced = dict(_pairs(conf / "q2b.dic"))
        labels = {label: int(number) for number, label in _pairs(conf / "tag.dic")}
        self._begin, self._inside = (labels[label] for label in _PERSON)

        def of(name: str) -> Array:
            return read_weights(model / name)

        self._embedding = of("word_emb")
        # Of each layer the weights of both directions, one on the other.
        self._into, self._bias, self._gates, self._candidate = [], [], [], []
        for first in range(0, 2 * _LAYERS, 2):
            both = (first, first + 1)
            self._into.append(np.concatenate([of(f"fc_{n}.w_0") for n in both], axis=1))
            self._bias.append(np.concatenate([of(f"fc_{n}.b_0") + of(f"gru_{n}.b_0").ravel() for n in both]))
            recurrent = [of(f"gru_{n}.w_0") for n in both]
            units = recurrent[0].shape[0]
            split = 2 * units * units
            self._gates.append(np.stack([w.ravel()[:split].reshape(units, 2 * units) for w in recurrent]))
            self._candidate.append(np.stack([w.ravel()[split:].reshape(units, units) for w in recurrent]))
        self._out, self._out_bias = of(f"fc_{2 * _LAYERS}.w_0"), of(f"fc_{2 * _LAYERS}.b_0")
        crf = of("crfw")
        self._start, self._end, self._moves = crf[0], crf[1], crf[2:]

    def persons(self, texts: Sequence[str]) -> list[list[Span]]:
        """Return the names in each text, as places of their first sign and of the one after their last."""
        found: list[list[Span]] = [[] for _ in texts]
        pieces = [(n, start, piece) for n, text in enumerate(texts) for start, piece in _pieces(text)]
        inputs = [self._input(piece) for _, _, piece in pieces]
        order = sorted(range(len(pieces)), key=lambda n: len(inputs[n][0]))
        for first in range(0, len(order), _BATCH):
            batch = order[first : first + _BATCH]
            labels = self._labels([inputs[n][0] for n in batch])
            for n, path in zip(batch, labels, strict=True):
                text, start, _ = pieces[n]
                found[text] += self._spans(path, inputs[n][1], start)
        return [sorted(spans) for spans in found]

    def _input(self, text: str) -> tuple[list[int], list[int]]:
        """Return the numbers of a text's words, and their lengths in signs."""
        numbers, lengths = [], []
        for word in self._segmenter.cut(text):
            for part in [word] if word in self._words else word:
                read = self._replaced.get(part, part)
                numbers.append(self._words.get(read, self._words[_UNKNOWN]))
                lengths.append(len(part))
        return numbers, lengths

    def _spans(self, labels: Sequence[int], lengths: Sequence[int], at: int) -> Iterator[Span]:
        """Yield the spans of signs that the labels call a person."""
        start = None
        for label, length in zip(labels, lengths, strict=True):
            if label != self._inside and start is not None:
                yield start, at
                start = None
            if label == self._begin or (label == self._inside and start is None):
                start = at
            at += length
        if start is not None:
            yield start, at

    def _labels(self, inputs: Sequence[Sequence[int]]) -> list[list[int]]:
        """Return the most probable labels of each of some inputs of similar length."""
        sizes = np.array([len(i) for i in inputs])
        longest = int(sizes.max())
        numbers = np.zeros((len(inputs), longest), np.int64)
        for row, given in zip(numbers, inputs, strict=True):
            row[: len(given)] = given
        # Reading backwards begins at the last word of each input; the filling stays behind it.
        steps = np.arange(longest)
        backwards = np.where(steps < sizes[:, None], sizes[:, None] - 1 - steps, steps)
        state = self._embedding[numbers]
        for layer in range(_LAYERS):
            state = self._both_ways(state, layer, backwards)
        return self._best_paths(state @ self._out + self._out_bias, sizes)

    def _both_ways(self, features: Array, layer: int, backwards: Integers) -> Array:
        """Return a layer's states, forwards beside backwards: rows x steps x twice the units.

        The update gate weighs the candidate, as in Paddle (`origin_mode` false).
        """
        rows, steps, _ = features.shape
        into = features @ self._into[layer] + self._bias[layer]
        half = into.shape[2] // 2
        units = half // 3
        mirrored = np.take_along_axis(into[:, :, half:], backwards[:, :, None], axis=1)
        inputs = np.stack([into[:, :, :half], mirrored]).transpose(2, 0, 1, 3)
        state = np.zeros((2, rows, units), np.float32)
        states = np.empty((steps, 2, rows, units), np.float32)
        for step in range(steps):
            given = inputs[step]
            gates = _sigmoid(given[:, :, : 2 * units] + state @ self._gates[layer])
            update, reset = gates[:, :, :units], gates[:, :, units:]
            candidate = np.tanh(given[:, :, 2 * units :] + (reset * state) @ self._candidate[layer])
            state = state + update * (candidate - state)
            states[step] = state
        forwards, mirrored = states.transpose(1, 2, 0, 3)
        return np.concatenate([forwards, np.take_along_axis(mirrored, backwards[:, :, None], axis=1)], axis=2)

    def _best_paths(self, scores: Array, sizes: Integers) -> list[list[int]]:
        """Return each row's best path through the labels (Viterbi), all rows at a time.

        Args:
            scores: of each label at each step; rows x steps x labels.
            sizes: steps of each row.
        """
        rows, steps, labels = scores.shape
        best = self._start + scores[:, 0]
        came_from = np.empty((steps, rows, labels), np.int16)
        for step in range(1, steps):
            reached = best[:, None, :] + self._moves.T[None]
            from_label = reached.argmax(axis=2)
            came_from[step] = from_label
            moved = np.take_along_axis(reached, from_label[:, :, None], axis=2)[:, :, 0] + scores[:, step]
            best = np.where((step < sizes)[:, None], moved, best)
        last = (best + self._end).argmax(axis=1)
        paths = []
        for row, size in enumerate(sizes):
            path = [int(last[row])]
            for step in range(int(size) - 1, 0, -1):
                path.append(int(came_from[step, row, path[-1]]))
            paths.append(path[::-1])
        return paths


def _sigmoid(values: Array) -> Array:
    # By tanh, which cannot overflow.
    result: Array = 0.5 * (np.tanh(0.5 * values) + 1)
    return result


def _pairs(path: Path) -> Iterator[list[str]]:
    """Yield the pairs of a dictionary file, tab between them; other lines are none, as in LAC's own reader."""
    for line in path.read_text("utf-8").split("\n"):
        pair = line.split("\t")
        if len(pair) == 2:
            yield pair


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """Yield the text in pieces of bearable length, with their places; cut after a stop where there is one."""
    start = 0
    while start < len(text):
        end = min(start + _LONGEST, len(text))
        if end < len(text):
            stops = [stop.end() for stop in _STOP.finditer(text, start, end)]
            end = stops[-1] if stops else end
        yield start, text[start:end]
        start = end


@cache
def loaded() -> Lac:
    """Return the network, loaded once in a process."""
    return Lac()
