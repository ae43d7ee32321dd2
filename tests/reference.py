"""Slow, literal transcriptions of the definitions, which the fast code is tested against.

Nothing here is vectorised or shared with the package: each function is the sentence of the definition, in loops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from math import erf, exp, log, sqrt
from typing import Any

import numpy as np
import torch

Edge = tuple[int, int, int]
"""(layer, query, key): token `query` of ring `layer + 1` attends to token `key` of ring `layer`."""
Root = int | tuple[int, ...]
"""One token, or several that are read together."""


def attention_graph(
    attention: np.ndarray, tau: float | list[float], root: Root, allowed: Iterable[tuple[int, int]] | None = None
) -> tuple[list[set[int]], dict[Edge, set[int]]]:
    """Attention Flows 4.1: rings 0 … L, and for each edge the set of its heads; tau for all layers or each."""
    n_layers, n_heads, size, _ = attention.shape
    taus = tau if isinstance(tau, list) else [tau] * n_layers
    rings: list[set[int]] = [set() for _ in range(n_layers + 1)]
    edges: dict[Edge, set[int]] = {}
    rings[n_layers] = {root} if isinstance(root, int) else set(root)
    for layer in range(n_layers - 1, -1, -1):
        for a in rings[layer + 1]:
            for b in range(size):
                for h in range(n_heads):
                    if (allowed is None or (layer, h) in allowed) and attention[layer, h, a, b] > taus[layer]:
                        rings[layer].add(b)
                        edges.setdefault((layer, a, b), set()).add(h)
    return rings, edges


def ring_tau(
    attention: np.ndarray,
    root: Root,
    heads: Iterable[tuple[int, int]] | None = None,
    hidden: Iterable[int] = (),
) -> tuple[list[float], list[set[int]]]:
    """A threshold for each layer halfway between the n-th and the next strongest; and the rings that it leaves."""
    n_layers, n_heads, size, _ = attention.shape
    taus, rings = [0.0] * n_layers, [set() for _ in range(n_layers)] + [{root} if isinstance(root, int) else set(root)]
    for d in range(n_layers):
        layer = n_layers - 1 - d
        paid: dict[int, float] = {}
        for b in set(range(size)) - set(hidden):
            for a in rings[layer + 1]:
                for h in range(n_heads):
                    if (heads is None or (layer, h) in heads) and attention[layer, h, a, b] > 0:
                        paid[b] = max(paid.get(b, 0.0), float(attention[layer, h, a, b]))
        n = min(5 + 5 * d, 24)
        levels = sorted(set(paid.values()), reverse=True)  # equal ones are one level: they stay together
        inside = [level for level in levels if sum(value >= level for value in paid.values()) <= n] or levels[:1]
        outside = [level for level in levels if level not in inside]
        taus[layer] = (inside[-1] + (outside[0] if outside else 0.0)) / 2
        rings[layer] = {b for b, value in paid.items() if value in inside}
    return taus, rings


def ring_sizes(
    attention: np.ndarray,
    taus: list[float],
    root: Root,
    heads: Iterable[tuple[int, int]] | None = None,
    hidden: Iterable[int] = (),
) -> list[list[int]]:
    """For each threshold, how many tokens each ring 0 … L of the graph that is built with it holds."""
    shown = attention.copy()
    shown[..., list(hidden)] = 0
    return [[len(ring) for ring in attention_graph(shown, tau, root, heads)[0]] for tau in taus]


def influence(attention: np.ndarray, tau: float, root: Root, alpha: float) -> np.ndarray:
    """Attention Flows eq. 3 and 4 with layers counted from 0: `[L, T]`."""
    n_layers, _, size, _ = attention.shape
    _, edges = attention_graph(attention, tau, root)
    count = np.zeros((n_layers, size))
    for (layer, _, key), heads in edges.items():
        for _ in heads:
            count[layer, key] += 1
    result = np.zeros((n_layers, size))
    for layer in range(n_layers):
        for w in range(size):
            total = 0.0
            for m in range(layer, n_layers):
                total += alpha ** (n_layers - 1 - m) * count[m, w]
            result[layer, w] = total / (n_layers - layer)
    return result


def with_centre(
    rings: list[set[int]], edges: dict[Edge, set[int]], centre: int
) -> tuple[list[set[int]], dict[Edge, set[int]]]:
    """The graph of a root of several tokens and, as one more ring, the centre they stand around, joined to each."""
    return [*rings, {centre}], edges | {(len(rings) - 1, centre, token): {0} for token in rings[-1]}


def neighbours(edges: dict[Edge, set[int]], ring: int, token: int, step: int, head: int | None = None) -> set[int]:
    """Tokens of the next ring away from the root (step -1) or towards it (step 1) that a token is joined to."""
    if step < 0:
        return {
            k for (layer, q, k), h in edges.items() if (layer, q) == (ring - 1, token) and (head is None or head in h)
        }
    return {q for (layer, q, k) in edges if (layer, k) == (ring, token)}


def edge(ring: int, token: int, step: int, other: int) -> Edge:
    return (ring - 1, token, other) if step < 0 else (ring, other, token)


def reach(
    rings: list[set[int]], edges: dict[Edge, set[int]], ring: int, tokens: set[int], head: int | None = None
) -> tuple[set[tuple[int, int]], set[Edge]]:
    """Attention Flows 4.4.1: from the tokens, each way, first what is joined to each of them, then all that follows."""
    tokens = tokens & rings[ring]
    nodes, used = {(ring, token) for token in tokens}, set()
    if not tokens:
        return nodes, used
    for step in (-1, 1):
        common = set.intersection(*(neighbours(edges, ring, t, step, head if step < 0 else None) for t in tokens))
        used |= {edge(ring, t, step, other) for t in tokens for other in common}
        level, front = ring + step, common
        while front:
            nodes |= {(level, token) for token in front}
            steps = [(token, other) for token in front for other in neighbours(edges, level, token, step)]
            used |= {edge(level, token, step, other) for token, other in steps}
            level, front = level + step, {other for _, other in steps}
    return nodes, used


def paths_between(
    rings: list[set[int]],
    edges: dict[Edge, set[int]],
    inner: int,
    inner_tokens: set[int],
    outer: int,
    outer_tokens: set[int],
) -> tuple[set[tuple[int, int]], set[Edge]]:
    """Attention Flows 4.4.2: every path from an inner token outwards, written out one by one."""
    inner_tokens, outer_tokens = inner_tokens & rings[inner], outer_tokens & rings[outer]
    ends = {(inner, t) for t in inner_tokens} | {(outer, t) for t in outer_tokens}

    def walk(level: int, token: int) -> Iterator[list[tuple[int, int]]]:
        if level == outer:
            if token in outer_tokens:
                yield [(level, token)]
            return
        for other in neighbours(edges, level, token, -1):
            for rest in walk(level - 1, other):
                yield [(level, token), *rest]

    paths = [path for token in inner_tokens for path in walk(inner, token)]
    passed = {node for path in paths for node in path} - ends
    on_the_way = {
        node
        for node in passed
        if {path[0][1] for path in paths if node in path} == inner_tokens
        and {path[-1][1] for path in paths if node in path} == outer_tokens
    }
    nodes = ends | on_the_way
    used = {
        (low[0], high[1], low[1])
        for path in paths
        for high, low in zip(path, path[1:], strict=False)
        if high in nodes and low in nodes
    }
    return nodes, used


def merge_words(attention: np.ndarray, word: list[int]) -> np.ndarray:
    """Clark et al. 4.1: attention to a split word is summed, attention from it averaged."""
    n_layers, n_heads, _, _ = attention.shape
    size = max(word) + 1
    merged = np.zeros((n_layers, n_heads, size, size))
    for layer in range(n_layers):
        for h in range(n_heads):
            for query_word in range(size):
                queries = [i for i, w in enumerate(word) if w == query_word]
                for key_word in range(size):
                    keys = [i for i, w in enumerate(word) if w == key_word]
                    rows = [sum(float(attention[layer, h, i, j]) for j in keys) for i in queries]
                    merged[layer, h, query_word, key_word] = sum(rows) / len(rows)
    return merged


def attended_words(attention: np.ndarray, root: Root, allowed: Iterable[tuple[int, int]]) -> np.ndarray:
    """Attention Flows eq. 3 in the graph of a text's own thresholds: pairs of head and attending word, `[L, W]`."""
    taus, _ = ring_tau(attention, root, allowed)
    _, edges = attention_graph(attention, taus, root, allowed)
    count = np.zeros((len(attention), attention.shape[-1]), int)
    for (layer, _, key), heads in edges.items():
        count[layer, key] += len(heads)
    return count


def attention_shares(attention: np.ndarray, kinds: list[str]) -> dict[str, np.ndarray]:
    """Clark 3.1, 3.2: the mean over tokens of what each pays to itself, its neighbours, kinds of tokens, and the rest.

    `kinds` says of each token `first`, `separator`, `punctuation` or `word`.
    """
    n_layers, n_heads, size, _ = attention.shape
    names = ("self", "previous", "next", "first", "separator", "punctuation", "else")
    found = {name: np.zeros((n_layers, n_heads)) for name in names}
    for layer, head, query, key in np.ndindex(attention.shape):
        of = {"self": query == key, "previous": key == query - 1, "next": key == query + 1}
        of |= {name: kinds[key] == name for name in ("first", "separator", "punctuation")}
        of["else"] = not any(of.values())
        for name in names:
            if of[name]:
                found[name][layer, head] += float(attention[layer, head, query, key]) / size
    return found


def trustworthiness(values: np.ndarray, points: np.ndarray, k: int) -> float:
    """Venna and Kaski: `1 - 2 / (N k (2 N - 3 k - 1)) sum_i sum over j of U_k(i) of (r(i, j) - k)`."""
    n = len(values)

    def order(of: np.ndarray, i: int) -> list[int]:
        return sorted((j for j in range(n) if j != i), key=lambda j: float(np.linalg.norm(of[i] - of[j])))

    total = 0
    for i in range(n):
        true = order(values, i)
        for j in order(points, i)[:k]:
            total += max(0, true.index(j) + 1 - k)
    return 1 - 2 / (n * k * (2 * n - 3 * k - 1)) * total


def hidden_token_attribution(head_outputs: Callable[[torch.Tensor], torch.Tensor], hidden: torch.Tensor) -> np.ndarray:
    """Telling BERT's Full Story eq. 1, `[L, H, T, T]`: one backward pass for each dimension of each head's output.

    `head_outputs` takes the source vectors `[T, D]` to `[L, T, H, K]`.
    """
    jacobian = torch.autograd.functional.jacobian(head_outputs, hidden, vectorize=True).numpy()  # [L, T, H, K, T, D]
    n_layers, size, n_heads = jacobian.shape[:3]
    norm = np.zeros((n_layers, n_heads, size, size))
    for layer in range(n_layers):
        for h in range(n_heads):
            for j in range(size):
                for i in range(size):
                    norm[layer, h, j, i] = np.linalg.norm(jacobian[layer, j, h, :, i], "fro")
    return norm / norm.sum(axis=-1, keepdims=True)


def correlation(one: list[float], other: list[float]) -> float:
    """Pearson's coefficient of two lists, written out."""
    size = len(one)
    mean_one, mean_other = sum(one) / size, sum(other) / size
    both = sum((a - mean_one) * (b - mean_other) for a, b in zip(one, other, strict=True))
    return both / (sum((a - mean_one) ** 2 for a in one) * sum((b - mean_other) ** 2 for b in other)) ** 0.5


def ranks(values: list[float]) -> list[float]:
    """Ranks from 1, equal values sharing the mean of theirs."""
    order = sorted(values)
    return [sum(i + 1 for i, other in enumerate(order) if other == value) / order.count(value) for value in values]


def relative_positions(maps: list[np.ndarray]) -> dict[int, tuple[float, int]]:
    """Pascual et al. section 7 for one head: at each offset the sum over all pairs of tokens, and how many they are."""
    found: dict[int, tuple[float, int]] = {}
    for values in maps:
        for query in range(len(values)):
            for source in range(len(values)):
                total, count = found.get(source - query, (0.0, 0))
                found[source - query] = (total + float(values[query, source]), count + 1)
    return found


def lrp_linear(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, relevance: np.ndarray) -> np.ndarray:
    """Bach et al. 2015, LRP-0: `R_i = sum_j x_i w_ji / z_j R_j`, where z_j holds the bias, which keeps its share."""
    result = np.zeros(len(x))
    for j in range(len(relevance)):
        z = sum(x[i] * weight[j, i] for i in range(len(x))) + bias[j]
        for i in range(len(x)):
            result[i] += x[i] * weight[j, i] / z * relevance[j]
    return result


def lrp_layer_norm(x: np.ndarray, gain: np.ndarray, bias: np.ndarray, eps: float, relevance: np.ndarray) -> np.ndarray:
    """Ali et al. 2022: layer norm is the linear map `gain (x - mean x) / sigma` with sigma as a constant."""
    size = len(x)
    sigma = np.sqrt(((x - x.mean()) ** 2).mean() + eps)
    weight = np.array([[gain[j] * ((i == j) - 1 / size) / sigma for i in range(size)] for j in range(size)])
    return lrp_linear(x, weight, bias, relevance)


def lrp_sum(a: np.ndarray, b: np.ndarray, relevance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A residual connection: each summand gets its share of the sum."""
    return a / (a + b) * relevance, b / (a + b) * relevance


def lrp_softmax(x: np.ndarray, relevance: np.ndarray) -> np.ndarray:
    """AttnLRP, proposition 3.1: `R_i = x_i (R_i - s_i sum_j R_j)`."""
    s = np.exp(x - x.max()) / np.exp(x - x.max()).sum()
    return np.array([x[i] * (relevance[i] - s[i] * sum(relevance)) for i in range(len(x))])


def lrp_matmul(a: np.ndarray, v: np.ndarray, relevance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """AttnLRP, proposition 3.3: `R_ji = sum_p a_ji v_ip / (2 o_jp) R_jp`, and the same for the values."""
    to_a, to_v = np.zeros_like(a), np.zeros_like(v)
    for j in range(a.shape[0]):
        for p in range(v.shape[1]):
            o = sum(a[j, i] * v[i, p] for i in range(a.shape[1]))
            for i in range(a.shape[1]):
                share = a[j, i] * v[i, p] / (2 * o) * relevance[j, p]
                to_a[j, i] += share
                to_v[i, p] += share
    return to_a, to_v


def lrp_bert(weights: dict[str, np.ndarray], hidden: np.ndarray, n_layers: int, n_heads: int, target: int):
    """A whole BERT classifier, forward and back, with attention weights as constants: relevance `[T]` and score."""
    eps = 1e-12

    def linear(name: str, x: np.ndarray) -> np.ndarray:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(name: str, x: np.ndarray) -> np.ndarray:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + eps)
        return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def back(rule, name: str, x: np.ndarray, relevance: np.ndarray, *more: float) -> np.ndarray:
        weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        return np.array([rule(x[t], weight, bias, *more, relevance[t]) for t in range(len(x))])

    size, width = hidden.shape
    head = width // n_heads
    kept = []
    x = hidden
    for layer in range(n_layers):
        at = f"bert.encoder.layer.{layer}"
        q, k, v = (linear(f"{at}.attention.self.{name}", x) for name in ("query", "key", "value"))
        attention, mixed = np.zeros((n_heads, size, size)), np.zeros_like(x)
        for h in range(n_heads):
            part = slice(h * head, (h + 1) * head)
            scores = q[:, part] @ k[:, part].T / np.sqrt(head)
            attention[h] = np.exp(scores - scores.max(-1, keepdims=True))
            attention[h] /= attention[h].sum(-1, keepdims=True)
            mixed[:, part] = attention[h] @ v[:, part]
        a = linear(f"{at}.attention.output.dense", mixed)
        middle = norm(f"{at}.attention.output.LayerNorm", a + x)
        wide = linear(f"{at}.intermediate.dense", middle)
        active = np.array([[w * (1 + erf(w / np.sqrt(2))) / 2 for w in row] for row in wide])
        b = linear(f"{at}.output.dense", active)
        kept.append((at, x, v, attention, mixed, a, middle, active, b))
        x = norm(f"{at}.output.LayerNorm", b + middle)
    pooled = np.tanh(linear("bert.pooler.dense", x[:1]))
    scores = linear("classifier", pooled)[0]
    start = np.zeros((1, len(scores)))
    start[0, target] = scores[target]
    relevance = np.zeros_like(x)
    relevance[:1] = back(lrp_linear, "bert.pooler.dense", x[:1], back(lrp_linear, "classifier", pooled, start))
    for at, x, v, attention, mixed, a, middle, active, b in reversed(kept):
        summed = back(lrp_layer_norm, f"{at}.output.LayerNorm", b + middle, relevance, eps)
        to_b, to_middle = lrp_sum(b, middle, summed)
        to_wide = back(lrp_linear, f"{at}.output.dense", active, to_b)  # which the activation passes on as it is
        to_middle = to_middle + back(lrp_linear, f"{at}.intermediate.dense", middle, to_wide)
        summed = back(lrp_layer_norm, f"{at}.attention.output.LayerNorm", a + x, to_middle, eps)
        to_a, to_x = lrp_sum(a, x, summed)
        to_mixed = back(lrp_linear, f"{at}.attention.output.dense", mixed, to_a)
        to_v = np.zeros_like(v)
        for query in range(size):
            for c in range(width):
                for t in range(size):
                    share = attention[c // head, query, t] * v[t, c] / mixed[query, c]
                    to_v[t, c] += share * to_mixed[query, c]
        relevance = to_x + back(lrp_linear, f"{at}.attention.self.value", x, to_v)
    return relevance.sum(axis=-1), scores[target]


def attention_rollout(attention: np.ndarray) -> np.ndarray:
    """Abnar and Zuidema 2020, section 4, in loops."""
    n_layers, n_heads, size, _ = attention.shape
    rolled = np.eye(size)
    for layer in range(n_layers):
        mixed = np.zeros((size, size))
        for i in range(size):
            for j in range(size):
                mean = sum(float(attention[layer, h, i, j]) for h in range(n_heads)) / n_heads
                mixed[i, j] = 0.5 * mean + 0.5 * (i == j)
        rolled = mixed @ rolled
    return rolled


def spearman(x: list[float], y: list[float]) -> float:
    """Pearson's correlation of ranks; a rank is the mean of the places that equal values take."""

    def ranks(values: list[float]) -> list[float]:
        return [sum(v < w for v in values) + (sum(v == w for v in values) + 1) / 2 for w in values]

    return float(np.corrcoef(ranks(x), ranks(y))[0, 1])


def thumbnails(attention: np.ndarray) -> np.ndarray:
    """Pictures of heads: 0 up to a uniform share of what a token can attend to, 255 for all on one token."""
    pictures = np.zeros(attention.shape, np.uint8)
    for layer, head, query, key in np.ndindex(attention.shape):
        reachable = sum(
            any(attention[layer, h, query, k] > 0 for h in range(attention.shape[1]))
            for k in range(attention.shape[-1])
        )
        if reachable > 1:
            above = (attention[layer, head, query, key] - 1 / reachable) / (1 - 1 / reachable)
            pictures[layer, head, query, key] = round(255 * max(0.0, above))
    return pictures


def mean_attention(attentions: list[np.ndarray]) -> np.ndarray:
    """Mean attention of each head: each cell divided by how many texts have both of its positions."""
    n_layers, n_heads = attentions[0].shape[:2]
    longest = max(attention.shape[-1] for attention in attentions)
    mean = np.full((n_layers, n_heads, longest, longest), np.nan)
    for layer in range(n_layers):
        for head in range(n_heads):
            for query in range(longest):
                for key in range(longest):
                    found = [a[layer, head, query, key] for a in attentions if a.shape[-1] > max(query, key)]
                    if found:
                        mean[layer, head, query, key] = sum(found) / len(found)
    return mean


Slices = list[tuple[str, tuple]]
"""Names of a head's parameters inside the model, and which part of each is the head's."""


def head_slices(model_type: str, layer: int, head: int, n_heads: int, n_shared: int, size: int) -> Slices:
    """A head's rows of Q, K, V with biases and columns of the output projection, written out by architecture.

    `n_shared` is how many heads share a key and value, `size` the head's width. Linear layers hold `[out, in]`, GPT-2's
    `[in, out]`.
    """
    mine = slice(head * size, (head + 1) * size)
    group = head // n_shared
    shared = slice(group * size, (group + 1) * size)
    width = n_heads * size

    def rows(name: str, part: slice) -> Slices:
        return [(f"{name}.weight", (part,)), (f"{name}.bias", (part,))]

    def columns(name: str) -> Slices:
        return [(f"{name}.weight", (slice(None), mine))]

    if model_type in ("bert", "roberta", "electra"):
        at = f"encoder.layer.{layer}.attention"
        maps = [entry for name in ("query", "key", "value") for entry in rows(f"{at}.self.{name}", mine)]
        return maps + columns(f"{at}.output.dense")
    if model_type == "albert":  # with as many groups of layers as layers, so that nothing is shared
        at = f"encoder.albert_layer_groups.{layer}.albert_layers.0.attention"
        maps = [entry for name in ("query", "key", "value") for entry in rows(f"{at}.{name}", mine)]
        return maps + columns(f"{at}.dense")
    if model_type == "distilbert":
        at = f"transformer.layer.{layer}.attention"
        maps = [entry for name in ("q_lin", "k_lin", "v_lin") for entry in rows(f"{at}.{name}", mine)]
        return maps + columns(f"{at}.out_lin")
    if model_type == "modernbert":  # queries of all heads, then keys, then values
        at = f"layers.{layer}.attn"
        parts = [slice(n * width + head * size, n * width + (head + 1) * size) for n in range(3)]
        return [entry for part in parts for entry in rows(f"{at}.Wqkv", part)] + columns(f"{at}.Wo")
    if model_type == "gpt2":
        at = f"h.{layer}.attn"
        parts = [slice(n * width + head * size, n * width + (head + 1) * size) for n in range(3)]
        maps = [
            entry
            for part in parts
            for entry in [(f"{at}.c_attn.weight", (slice(None), part)), (f"{at}.c_attn.bias", (part,))]
        ]
        return [*maps, (f"{at}.c_proj.weight", (mine,))]
    if model_type == "gpt_neox":  # query, key and value of one head, then of the next
        at = f"layers.{layer}.attention"
        return rows(f"{at}.query_key_value", slice(3 * head * size, 3 * (head + 1) * size)) + columns(f"{at}.dense")
    at = f"layers.{layer}.self_attn"
    maps = [*rows(f"{at}.q_proj", mine), *rows(f"{at}.k_proj", shared), *rows(f"{at}.v_proj", shared)]
    return maps + columns(f"{at}.o_proj")


def taylor(model: object, slices: Slices, losses: list[object]) -> float:
    """T3-Vis A.1: mean over examples of the sum over a head's parameters of (gradient * weight) ** 2.

    `losses` are functions that give the loss of one example with all of the model's gradients attached.
    """
    parameters = dict(model.named_parameters())  # type: ignore[attr-defined]
    total = 0.0
    for loss in losses:
        model.zero_grad()  # type: ignore[attr-defined]
        loss().backward()  # type: ignore[operator]
        for name, part in slices:
            if name in parameters:  # some architectures have no biases
                product = (parameters[name].grad[part] * parameters[name][part]).detach().double()
                total += sum(float(number) ** 2 for number in product.flatten().tolist())
    return total / len(losses)


def entropy(row: list[float]) -> float:
    """Clark et al. 3.3: `-sum p ln p` in nats; what is not attended to adds nothing."""
    total = 0.0
    for p in row:
        if p > 0:
            total -= p * log(p)
    return total


def attention_entropy(texts: list[np.ndarray], roots: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Mean over a text's rows, then over texts, and the same of the root's row alone: `[L, H]` each."""
    n_layers, n_heads = texts[0].shape[:2]
    whole, root = np.zeros((2, n_layers, n_heads))
    for layer in range(n_layers):
        for head in range(n_heads):
            for text, position in zip(texts, roots, strict=True):
                rows = [entropy(row.tolist()) for row in text[layer, head]]
                whole[layer, head] += sum(rows) / len(rows) / len(texts)
                root[layer, head] += rows[position] / len(texts)
    return whole, root


def standard_error(values: list[float], counts: list[int]) -> float:
    """Cochran 2.11: of `sum(values) / sum(counts)`, over texts, each with its value and count."""
    pairs = [(x, c) for x, c in zip(values, counts, strict=True) if c]
    n, ratio = len(pairs), sum(x for x, _ in pairs) / sum(c for _, c in pairs)
    spread = sum((x - ratio * c) ** 2 for x, c in pairs) / (n - 1)
    return (spread * n) ** 0.5 / sum(c for _, c in pairs)


def separator_to_separator(attention: np.ndarray, special: list[str]) -> np.ndarray:
    """`[L, H]`: the mean, over the separators of a text, of what each pays to all separators; Clark's `sep_sep`."""
    n_layers, n_heads, size, _ = attention.shape
    found = np.zeros((n_layers, n_heads))
    separators = [i for i in range(size) if special[i] == "separator"]
    for layer in range(n_layers):
        for h in range(n_heads):
            for i in separators:
                for j in separators:
                    found[layer, h] += float(attention[layer, h, i, j]) / len(separators)
    return found


def gradient_by_kind(gradient: np.ndarray, attention: np.ndarray, special: list[str], kind: str) -> np.ndarray:
    """`[L, H]`: the mean of `|d loss / d attention|` over the weights that there are on tokens of a kind."""
    n_layers, n_heads, size, _ = attention.shape
    found = np.zeros((n_layers, n_heads))
    for layer in range(n_layers):
        for h in range(n_heads):
            values = []
            for i in range(size):
                for j in range(size):
                    there = any(attention[m, g, i, j] > 0 for m in range(n_layers) for g in range(n_heads))
                    own = special[j] if special[j] in ("separator", "punctuation") else "else"
                    if there and own == kind:
                        values.append(abs(float(gradient[layer, h, i, j])))
            found[layer, h] = sum(values) / len(values)
    return found


def jensen_shannon(one: list[float], other: list[float]) -> float:
    """`1/2 KL(p || m) + 1/2 KL(q || m)`, `m` halfway between, in nats; a term of 0 is 0."""
    total = 0.0
    for p, q in zip(one, other, strict=True):
        for share in (p, q):
            if share > 0:
                total += share * log(2 * share / (p + q)) / 2
    return total


def head_distances(texts: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """`[L * H, L * H]` twice: mean over rows, then texts; and the sum over the rows of all texts."""
    n_layers, n_heads = texts[0].shape[:2]
    heads = [(layer, h) for layer in range(n_layers) for h in range(n_heads)]
    mean, total = np.zeros((2, len(heads), len(heads)))
    for text in texts:
        for a, one in enumerate(heads):
            for b, other in enumerate(heads):
                rows = [jensen_shannon(text[one][i].tolist(), text[other][i].tolist()) for i in range(text.shape[2])]
                mean[a, b] += sum(rows) / len(rows) / len(texts)
                total[a, b] += sum(rows)
    return mean, total


def data_map(logits: list[list[list[float]]], gold: list[int], include_ci: bool = False) -> list[dict[str, float]]:
    """Swayamdipta et al. 2020, section 2, and forgetfulness by Toneva et al. 2019; `logits` is `[N, E, C]`."""
    found = []
    for epochs, label in zip(logits, gold, strict=True):
        p, right = [], []
        for row in epochs:
            p.append(exp(row[label]) / sum(exp(value) for value in row))
            right.append(row.index(max(row)) == label)
        mean = sum(p) / len(p)
        variance = sum((value - mean) ** 2 for value in p) / len(p)
        forgotten = sum(before and not after for before, after in zip(right, right[1:], strict=False))
        found.append(
            {
                "confidence": mean,
                "variability": sqrt(variance + (variance**2 / (len(p) - 1) if include_ci else 0)),
                "correctness": sum(right),
                "forgetfulness": forgotten if any(right) else 1000,
                "threshold_closeness": mean * (1 - mean),
                "margin": sum(row[label] - max(value for c, value in enumerate(row) if c != label) for row in epochs)
                / len(epochs),
            }
        )
    return found


def word_attention(attention: np.ndarray, groups: list[int], pooling: str) -> np.ndarray:
    """Clark 4.1: to a split word the sum, from it the mean (or what its first token pays); special tokens dropped."""
    n_layers, n_heads, size, _ = attention.shape
    count = max(groups) + 1
    found = np.zeros((n_layers, n_heads, count, count))
    for layer in range(n_layers):
        for head in range(n_heads):
            for word in range(count):
                own = [token for token in range(size) if groups[token] == word]
                readers = own[:1] if pooling == "first" else own
                for other in range(count):
                    paid = [
                        sum(float(attention[layer, head, reader, key]) for key in range(size) if groups[key] == other)
                        for reader in readers
                    ]
                    found[layer, head, word, other] = sum(paid) / len(paid)
    return found


def chosen_governors(words: np.ndarray, here: list[bool], direction: int) -> list[list[list[int | None]]]:
    """By layer, head and word: the other word that it attends to most, or (direction 1) that attends to it most."""
    n_layers, n_heads, count, _ = words.shape
    found: list[list[list[int | None]]] = []
    for layer in range(n_layers):
        by_head = []
        for head in range(n_heads):
            chosen: list[int | None] = []
            for word in range(count):
                best, most = None, -1.0
                for other in range(count):
                    paid = words[layer, head, word, other] if direction == 0 else words[layer, head, other, word]
                    if other != word and here[other] and paid > most:
                        best, most = other, paid
                chosen.append(best)
            by_head.append(chosen)
        found.append(by_head)
    return found


def wilson(right: int, n: int) -> tuple[float, float]:
    """Both ends are shares `p` at which `right / n` is 1.96 standard deviations of `p` away: found by bisection."""

    def end(low: float, high: float) -> float:
        for _ in range(200):
            middle = (low + high) / 2
            away = abs(right / n - middle) / max((middle * (1 - middle) / n) ** 0.5, 1e-300)
            inside = away <= 1.959963984540054
            if (middle < right / n) == inside:
                high = middle
            else:
                low = middle
        return (low + high) / 2

    return end(0.0, right / n), end(right / n, 1.0)


def antecedents_found(
    words: np.ndarray, there: list[bool], mentions: list[Any], candidates: str
) -> tuple[list[Any], dict[tuple[int, int], list[bool]], dict[str, list[bool]], int]:
    """Clark et al. 4.3, mention by mention: the cases, whether each head and each rule is right, and what is left out.

    `words` is `[L, H, W, W]`; mentions have chain, start, end, head, words, number, gender and person.
    """
    cases, left_out = [], 0
    by_head: dict[tuple[int, int], list[bool]] = {place: [] for place in np.ndindex(*words.shape[:2])}
    by_rule: dict[str, list[bool]] = {"nearest": [], "head match": [], "sieves": []}
    for mention in mentions:
        antecedents = [one.head for one in mentions if one.chain == mention.chain and one.head < mention.head]
        if not antecedents:
            continue
        antecedents = [head for head in antecedents if there[head]]
        if not there[mention.head] or not antecedents:
            left_out += 1
            continue
        cases.append(mention)
        allowed = []
        for word in range(len(there)):
            in_another = any(one is not mention and there[one.head] and one.start <= word < one.end for one in mentions)
            if not there[word] or word == mention.head:
                continue
            if candidates == "all" or (word < mention.head and (candidates == "before" or in_another)):
                allowed.append(word)
        for place, right in by_head.items():
            most = max(words[place][mention.head][word] for word in allowed)
            first = next(word for word in allowed if words[place][mention.head][word] == most)
            right.append(first in antecedents)
        before = [one for one in mentions if there[one.head] and one.head < mention.head]
        outside = [one for one in before if not (mention.start <= one.start and one.end <= mention.end)] or before

        def nearest(among: list[Any]) -> int | None:
            return max((one.head for one in among), default=None)

        def lowered(texts: Any) -> list[str]:
            return [text.lower() for text in texts]

        def agrees(one: Any, mention: Any = mention) -> bool:
            pairs = [(getattr(one, name), getattr(mention, name)) for name in ("number", "gender", "person")]
            return all(a is None or b is None or a == b for a, b in pairs)

        same_words = [one for one in outside if mention.words and lowered(one.words) == lowered(mention.words)]
        same_head = [one for one in outside if mention.head_word and one.head_word.lower() == mention.head_word.lower()]
        rules = {
            "nearest": [outside],
            "head match": [same_head, outside],
            "sieves": [same_words, same_head, [one for one in outside if agrees(one)], outside],
        }
        for rule, sieves in rules.items():
            by_rule[rule].append(next(nearest(sieve) for sieve in sieves if sieve) in antecedents)
    return cases, by_head, by_rule, left_out


def norm_rows(attention: np.ndarray, values: np.ndarray, projections: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Kobayashi et al. 2020: of each head `||a_ij f(x_j)||`, as a share of the row, and the norms of `f(x_j)`.

    `values` is `[L, T, H, K]` with their bias, `projections` `[L, D, H, K]`.
    """
    n_layers, n_heads, size, _ = attention.shape
    rows, norms = np.zeros(attention.shape), np.zeros((n_layers, n_heads, size))
    for layer in range(n_layers):
        for h in range(n_heads):
            written = [projections[layer][:, h] @ values[layer, j, h] for j in range(size)]
            for i in range(size):
                lengths = [np.linalg.norm(float(attention[layer, h, i, j]) * written[j]) for j in range(size)]
                total = sum(lengths)
                rows[layer, h, i] = [length / total for length in lengths]
            norms[layer, h] = [np.linalg.norm(vector) for vector in written]
    return rows, norms


def token_probabilities(scores: np.ndarray) -> list[list[float]]:
    """The softmax over the classes of each token."""
    return [[exp(own) / sum(exp(other) for other in row) for own in row] for row in scores.astype(float).tolist()]


def answer_spans(
    start: np.ndarray, end: np.ndarray, context: list[int], longest: int
) -> list[tuple[int, int, float, float]]:
    """Every answer with its score and probability, the likeliest first: both ends are shares of all tokens."""
    starts, ends = (sum(exp(x) for x in one.astype(float).tolist()) for one in (start, end))
    found = []
    for i in context:
        for j in context:
            if i <= j and j - i + 1 <= longest:
                score = float(start[i]) + float(end[j])
                found.append((i, j, score, exp(float(start[i])) / starts * (exp(float(end[j])) / ends)))
    return sorted(found, key=lambda one: -one[2])


def expected_after(logits: np.ndarray, real: int | None, most: int) -> tuple[list[tuple[int, float]], float, int]:
    """The likeliest entries of a vocabulary with their shares of it, and share and rank of the real one."""
    row = logits.astype(float).tolist()
    whole = sum(exp(x) for x in row)
    order = sorted(range(len(row)), key=lambda entry: -row[entry])
    best = [(entry, exp(row[entry]) / whole) for entry in order[:most]]
    if real is None:
        return best, float("nan"), 0
    return best, exp(row[real]) / whole, sum(other >= row[real] for other in row)


def rolled_shares(layers: list[np.ndarray], roots: list[int]) -> np.ndarray:
    """Rollout of `[T, T]` by layer, each row a share of its sum, without an identity: the mean of the roots' rows."""
    size = len(layers[0])
    rolled = np.eye(size)
    for layer in layers:
        shares = np.zeros((size, size))
        for i in range(size):
            total = sum(layer[i])
            for j in range(size):
                shares[i, j] = layer[i, j] / total if total > 0 else float(i == j)
        rolled = shares @ rolled
    return sum(rolled[root] for root in roots) / len(roots)


def value_zeroing(whole: np.ndarray, without: np.ndarray) -> list[np.ndarray]:
    """Mohebbi et al. 2023: the cosine distance of what leaves a layer, with and without the value of a token.

    `whole` is `[L, T, D]`, `without` `[L, zeroed token, T, D]`.
    """
    n_layers, size, _ = whole.shape
    found = [np.zeros((size, size)) for _ in range(n_layers)]
    for layer in range(n_layers):
        for i in range(size):
            for j in range(size):
                a, b = whole[layer, i], without[layer, j, i]
                found[layer][i, j] = 1 - float(a @ b) / (sqrt(float(a @ a)) * sqrt(float(b @ b)))
    return found


def part_lengths(parts: np.ndarray) -> list[np.ndarray]:
    """Kobayashi et al. 2021: the norm of the part of each token that is each source's; `[L, source, T, D]`."""
    n_layers, size, _, _ = parts.shape
    found = [np.zeros((size, size)) for _ in range(n_layers)]
    for layer in range(n_layers):
        for i in range(size):
            for j in range(size):
                found[layer][i, j] = np.linalg.norm(parts[layer, j, i])
    return found


def two_stacks(
    encoder: list[np.ndarray], decoder: list[np.ndarray], cross: list[np.ndarray]
) -> tuple[np.ndarray, list[list[bool]]]:
    """Attention of an encoder-decoder on one axis, entry by entry, and for each layer which tokens pass through it.

    Args:
        encoder: For each layer `[H, S, S]`.
        decoder: For each layer `[H, D, D]`.
        cross: For each layer `[H, D, S]`.

    Returns:
        `[L, 2H, T, T]`, and `[L][T]`.
    """
    n_heads, n_source, n_target = encoder[0].shape[0], encoder[0].shape[1], decoder[0].shape[1]
    size, n_layers = n_source + n_target, len(encoder) + len(decoder)
    whole = np.zeros((n_layers, 2 * n_heads, size, size))
    passing = [[False] * size for _ in range(n_layers)]
    for layer in range(n_layers):
        in_decoder = layer >= len(encoder)
        for token in range(size):
            of_target = token >= n_source
            passing[layer][token] = in_decoder != of_target
            for head in range(2 * n_heads):
                if in_decoder != of_target or (not in_decoder and head >= n_heads):
                    whole[layer, head, token, token] = 1
                elif not in_decoder:
                    whole[layer, head, token, :n_source] = encoder[layer][head, token]
                elif head < n_heads:
                    row = decoder[layer - len(encoder)][head, token - n_source]
                    whole[layer, head, token, n_source:] = row
                else:
                    row = cross[layer - len(encoder)][head - n_heads, token - n_source]
                    whole[layer, head, token, :n_source] = row
    return whole, passing


def graph_of_two_stacks(
    attention: np.ndarray, tau: list[float], root: int, passing: list[list[bool]], n_encoder: int
) -> tuple[list[set[int]], dict[Edge, set[int]]]:
    """As `attention_graph`; a token that passes through a layer is in the next ring, too, by an edge without a head."""
    n_layers, n_heads, size, _ = attention.shape
    rings: list[set[int]] = [set() for _ in range(n_layers)] + [{root}]
    edges: dict[Edge, set[int]] = {}
    for layer in range(n_layers - 1, -1, -1):
        for a in rings[layer + 1]:
            if passing[layer][a]:
                rings[layer].add(a)
                edges[layer, a, a] = set()
                continue
            for b in range(size):
                for h in range(n_heads if layer >= n_encoder else n_heads // 2):
                    if attention[layer, h, a, b] > tau[layer]:
                        rings[layer].add(b)
                        edges.setdefault((layer, a, b), set()).add(h)
    return rings, edges


def shares_of_two_stacks(
    encoder: list[np.ndarray], decoder: list[np.ndarray], cross: list[np.ndarray], source: list[str], target: list[str]
) -> dict[str, np.ndarray]:
    """As `attention_shares`, `[L, 2H]`, each attention by itself over the tokens that attend.

    Args:
        encoder: For each layer `[H, S, S]`.
        decoder: For each layer `[H, D, D]`.
        cross: For each layer `[H, D, S]`; nobody attends to itself or a neighbour, for these are in another text.
        source: Kinds of the source tokens.
        target: Of the target tokens.
    """
    n_heads = encoder[0].shape[0]
    own = [attention_shares(np.stack(encoder), source), attention_shares(np.stack(decoder), target)]
    found: dict[str, np.ndarray] = {}
    for name in own[0]:
        to_source = np.zeros((len(cross), n_heads))
        for layer, rows in enumerate(cross):
            for head, query, key in np.ndindex(rows.shape):
                kind = {"word": "else"}.get(source[key], source[key])
                to_source[layer, head] += float(rows[head, query, key]) / len(target) * (kind == name)
        absent = np.zeros((len(encoder), n_heads))
        found[name] = np.concatenate([np.hstack([own[0][name], absent]), np.hstack([own[1][name], to_source])])
    return found
