"""A simple search for a legal mapping: every candidate is ranked by a bound on its cycles.

The rank is the bound of docs/machine.md section 5 with the blocks' average sizes, half-empty psum
beats, and the time for which a pass waits for its filters. It decides which mapping is taken, never
what is reported of it: `sim.analytic` knows a mapping's cycles far better, but takes longer for one
than this for thousands.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from sim.dataflow.base import ceil_div
from sim.dataflow.row_stationary.mapping import (
    Mapping,
    filter_sets_that_fit,
    layer_violations,
    mapping_violations,
)
from sim.errors import Fault, MappingError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hw_models.spec import Hardware
    from workloads.layer import Layer

    _Ints = NDArray[np.int64]

MOST_STRIPS = 24
MOST_IMAGE_BLOCKS = 4
MOST_R, MOST_Q, MOST_P, MOST_T = 48, 24, 48, 96
"""Sizes that are tried of each factor. The chip has fewer; on one with spads of 65536 words the
combinations of all would fill any memory."""


@lru_cache(maxsize=4096)
def useful_sizes(total: int, most: int) -> tuple[int, ...]:
    """Block sizes up to `most` that are the smallest for the number of blocks they give."""
    return tuple(sorted({ceil_div(total, ceil_div(total, size)) for size in range(1, most + 1)}))


def _blocks_in_shares(total: int, share: int, block: NDArray[np.int64]) -> NDArray[np.int64]:
    """Blocks that `total` is cut into where none may reach over two configurations."""
    whole, rest = divmod(total, share)
    return whole * -(-share // block) + -(-rest // block)


def thinned(sizes: Sequence[int], most: int) -> list[int]:
    """At most that many of the sizes, evenly spread, the smallest and the largest among them."""
    if len(sizes) <= most:
        return list(sizes)
    return [sizes[place * (len(sizes) - 1) // (most - 1)] for place in range(most)]


def auto_mapping(layer: Layer, batch: int, hw: Hardware) -> Mapping:
    """The best mapping that a search over all useful block sizes finds.

    Raises:
        MappingError: the layer breaks limits of the chip, or no mapping of it is legal; names the
            rules.

    """
    found = layer_violations(layer, hw)
    if found:
        raise MappingError(*(Fault("", None, f"{layer.name} on {hw.name}", str(v)) for v in found))
    best: tuple[float, Mapping] | None = None
    for e in _strip_candidates(layer, hw):
        for r in thinned(useful_sizes(layer.C, max(1, hw.array.rows // layer.R)), MOST_R):
            room = filter_sets_that_fit(e, layer.R * r, hw)
            if room == 0:
                continue
            for n in sorted({1, *useful_sizes(batch, batch)[-MOST_IMAGE_BLOCKS:]}):
                candidate = _best_inside(layer, batch, hw, (e, r, n, room))
                if candidate is not None and (best is None or candidate < best):
                    best = candidate
    if best is None:
        smallest = Mapping(m=1, n=1, e=1, p=1, q=1, r=1, t=1)
        broken = mapping_violations(layer, smallest, hw, batch)
        raise MappingError(
            *(
                Fault("", None, f"{layer.name} on {hw.name}", f"no legal mapping: {v}")
                for v in broken
            )
        )
    return best[1].fitted(layer, batch, hw)


def _strip_candidates(layer: Layer, hw: Hardware) -> tuple[int, ...]:
    """Strip heights that the array can hold in one piece and folded, each spread where many."""
    most = hw.array.columns * (hw.array.rows // layer.R) if layer.R <= hw.array.rows else 0
    found = useful_sizes(layer.E, min(layer.E, most)) if most else ()
    whole = [e for e in found if e <= hw.array.columns]
    folded = [e for e in found if e > hw.array.columns]
    # The smallest must be among them: it may be the only one whose strip fits the GLB.
    return (*thinned(whole, MOST_STRIPS), *thinned(folded, MOST_STRIPS))


def _best_inside(
    layer: Layer, batch: int, hw: Hardware, fixed: tuple[int, int, int, int]
) -> tuple[float, Mapping] | None:
    """The best p, q, t and m for given e, r, n and the room for filter sets."""
    e, r, n, room = fixed
    pe, noc, glb = hw.pe, hw.noc, hw.glb
    most_q = min(layer.C, pe.ifmap_spad_words // layer.S, pe.filter_spad_words // layer.S)
    most_p = min(layer.Mg, pe.psum_spad_words, pe.filter_spad_words // layer.S)
    if most_q < 1 or most_p < 1:
        return None
    sizes_t = sorted({1, *useful_sizes(layer.Mg, min(room, layer.Mg))})
    p = np.array(thinned(range(1, most_p + 1), MOST_P))[:, None]
    t = np.array(thinned(sizes_t, MOST_T))
    block = np.minimum(p * t, layer.Mg)
    most_filters = hw.limits.filters[1]
    filter_blocks = _blocks_in_shares(layer.Mg, most_filters, block)
    # Each PE hands on beats of its own psums: with few filters in it, they go half empty.
    beats = np.zeros_like(block)
    for share, times in ((most_filters, layer.Mg // most_filters), (layer.Mg % most_filters, 1)):
        of_share = _beats(block, p, noc.psum_words_per_cycle) * (share // block)
        of_share += _beats(share % block, p, noc.psum_words_per_cycle)
        beats += times * of_share
    q = np.array(thinned(useful_sizes(layer.C, most_q), MOST_Q))[:, None, None]
    fits = (p * q * layer.S <= pe.filter_spad_words) & ((t - 1) * p < layer.Mg)
    q, p, t, block, filter_blocks, beats = (  # one of each always fits
        axis[fits] for axis in np.broadcast_arrays(q, p, t, block, filter_blocks, beats)
    )
    rows, columns = layer.ifmap_rows(e), layer.ifmap_columns
    ifmap_words = n * np.minimum(q * r, layer.C) * rows * columns
    psum_words = n * e * layer.F

    def most_m_beside(strips: _Ints | int, m_blocks: int) -> _Ints:
        """Filters whose psums fit beside so many ifmap strips, so many m-blocks at once."""
        free_banks = glb.banks - -(-strips * ifmap_words // hw.glb_words_per_bank("ifmap"))
        fit: _Ints = free_banks * hw.glb_words_per_bank("psum") // (m_blocks * psum_words)
        return np.minimum(np.minimum(fit, layer.Mg), most_filters)

    ahead = hw.dram.overlap != "none"
    most_m = most_m_beside(2 if ahead else 1, 2 if hw.dram.overlap == "full" else 1)
    if ahead and layer.G == 1 and n >= batch and e >= layer.E:
        # One m-block in all is held alone, and one strip in all, too.
        alone = most_m_beside(np.where(q * r >= layer.C, 1, 2), 1)
        most_m = np.where(alone >= layer.Mg, alone, most_m)
    legal = most_m >= block
    q, p, t, block, filter_blocks, beats, most_m = (
        values[legal] for values in (q, p, t, block, filter_blocks, beats, most_m)
    )
    if not q.size:
        return None
    whole = min(layer.Mg, most_filters)
    m = np.where(most_m >= whole, whole, most_m // block * block)
    image_blocks, strips = ceil_div(batch, n), ceil_div(layer.E, e)
    m_blocks = _blocks_in_shares(layer.Mg, hw.limits.filters[1], m)
    channel_blocks = _blocks_in_shares(layer.C, hw.limits.channels[1], q * r)
    passes = layer.G * image_blocks * strips * channel_blocks * filter_blocks
    # Average block sizes make a mapping with ragged edges pay for its passes, not for full blocks.
    images, strip = batch / image_blocks, layer.E / strips
    channels, filters = layer.C / channel_blocks, layer.Mg / filter_blocks
    windows = images * layer.F
    q_now = np.minimum(q, channels)
    p_now = np.minimum(p, filters)
    array_cycles = windows * (p_now * q_now * layer.S + np.maximum(p_now, pe.pipeline_stages))
    psum_cycles = windows * strip * beats / filter_blocks
    ifmap_cycles = images * channels * rows * columns / noc.gin_ifmap_words_per_cycle
    filter_words = filters * channels * layer.R * layer.S
    link_words = hw.dram.link_bits / hw.word_bits.filter / float(hw.link_beat_cycles)
    # What the filter banks do not hold comes over the link while the pass waits for it.
    late_words = np.maximum(0, filter_words - glb.filter_banks * hw.glb_words_per_bank("filter"))
    load_cycles = np.maximum(filter_words / noc.gin_filter_words_per_cycle, late_words / link_words)
    cycles = np.maximum(np.maximum(array_cycles, psum_cycles), ifmap_cycles) + load_cycles
    cycles = np.maximum(cycles, filter_words / link_words)
    # A beat's way up a chain fills and drains it; it also makes few large passes win a tie.
    hop_cycles = np.minimum(p_now, noc.psum_words_per_cycle) + noc.local_hop_cycles
    cycles = passes * (cycles + hop_cycles * layer.R * r)
    # DRAM traffic breaks ties, and counts a little: at most a tenth of its time on the link.
    wider = hw.word_bits.ifmap / hw.word_bits.filter
    dram_words = passes * filter_words + m_blocks * layer.G * image_blocks * strips * (
        images * layer.C * rows * columns * wider
    )
    cost = cycles + 0.1 * dram_words / link_words
    place = int(np.argmin(cost))
    return float(cost[place]), Mapping(
        m=int(m[place]), n=n, e=e, p=int(p[place]), q=int(q[place]), r=r, t=int(t[place])
    )


def _beats(filters: _Ints, p: _Ints, words: int) -> _Ints:
    """Psum beats of a window of `filters` filters, `p` in a PE, over a row of the ofmap."""
    return filters // p * -(-p // words) + -(-(filters % p) // words)
