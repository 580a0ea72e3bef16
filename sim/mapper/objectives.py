"""What a mapping is judged by: energy, latency, traffic, or a product of them.

Each is a sum or product that grows with the counts and cycles of a mapping. So its value at bounds
of these is a bound of its value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as MappingABC
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hw_models.vocabulary import ENTRIES
from sim.account.energy import energy
from sim.account.ledger import gated_macs
from sim.errors import Fault, InputError
from sim.plan.dram_traffic import Traffic
from workloads.inputs.words import closest

if TYPE_CHECKING:
    from hw_models.spec import Hardware
    from sim.account.result import Pricing
    from workloads.layer import Layer

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64] | NDArray[np.float64]

TERMS = ("energy", "latency", "processing", "dram")
NAMED = {"edp": "energy*latency"}

_MOST_POWER = 4


@dataclass(frozen=True)
class Objective:
    """A product of terms, each to a power.

    >>> Objective.read("energy^2*latency").powers
    {'energy': 2.0, 'latency': 1.0}
    >>> str(Objective.read("edp"))
    'energy*latency'
    """

    powers: MappingABC[str, float]

    @classmethod
    def read(cls, text: str, option: str = "--objective") -> Objective:
        """Read a term, `edp`, or a product as `energy^2*latency`.

        Raises:
            InputError: a term is unknown or named twice, or a power is no number above 0.

        """
        powers: dict[str, float] = {}
        for part in NAMED.get(text.strip(), text).split("*"):
            found = re.fullmatch(r"\s*(\w+)\s*(?:\^\s*([0-9]{1,3}(?:\.[0-9]{1,6})?))?\s*", part)
            name = found[1] if found else part.strip()
            if found is None or name not in TERMS:
                near = closest(name, (*TERMS, *NAMED))
                hint = f"; did you mean '{near}'?" if near else ""
                known = ", ".join((*TERMS, *NAMED))
                message = (
                    f"{name[:40]!r} is no objective: {known}, or a product as energy^2*latency"
                )
                raise InputError(Fault("", None, option, message + hint))
            power = float(found[2] or 1)
            if not 0 < power <= _MOST_POWER:
                message = (
                    f"the power of {name} must be above 0 and at most {_MOST_POWER}, got {power:g}"
                )
                raise InputError(Fault("", None, option, message))
            if name in powers:
                raise InputError(Fault("", None, option, f"{name} is named twice; give it a power"))
            powers[name] = power
        return cls(powers)

    def __str__(self) -> str:
        return "*".join(
            name if power == 1 else f"{name}^{power:g}" for name, power in self.powers.items()
        )

    @property
    def whole(self) -> bool:
        """Whether all values are whole numbers: cycles or bits."""
        return list(self.powers.values()) == [1.0] and "energy" not in self.powers

    def value(self, terms: MappingABC[str, Numbers]) -> Floats:
        """Return the objective of each mapping, from its terms."""
        product: Floats = np.ones(1)
        for name, power in self.powers.items():
            term = terms[name].astype(np.float64)
            product = product * (term if power == 1 else term**power)
        return product

    def exact(self, terms: MappingABC[str, Fraction]) -> Fraction | float:
        """Return the objective from exact terms: exact, too, where all powers are whole numbers."""
        product: Fraction | float = Fraction(1)
        for name, power in self.powers.items():
            product = product * terms[name] ** (int(power) if power == int(power) else power)
        return product


class Prices:
    """The energy of a layer as a sum of counts, bits and cycles, each at its price.

    `sim.account.energy` says what a ledger costs; that it is linear makes a price of each entry.
    `weights` are those of the ledger's counts, `bit_weights` those of bits on the link where these
    are coded, `cycle` that of a cycle.

    Raises:
        InputError: the table prices hops, which depend on where each word goes.

    """

    def __init__(self, layer: Layer, batch: int, hw: Hardware, pricing: Pricing) -> None:
        self.layer, self.batch, self.hw, self.pricing = layer, batch, hw, pricing
        table = pricing.table
        if table.noc.hop:
            message = (
                f"the table {table.name} prices hops, which no bound knows: take another table, or "
                "an objective without energy"
            )
            raise InputError(Fault("", None, "--energy", message))
        self.coding = Traffic.of(layer, hw).coding
        dearer = table.spad.ifmap.read_repeated
        if dearer is not None and dearer > (table.spad.ifmap.read or 0):
            message = (
                f"the table {table.name} prices a repeated read of the ifmap spad above a new one, "
                "so that more accesses may cost less: the mapper has no bound for that"
            )
            raise InputError(Fault("", None, "--energy", message))

    def _energy(
        self,
        entries: MappingABC[str, int],
        bits: MappingABC[str, int] | None = None,
        cycles: int = 0,
    ) -> Fraction:
        pricing, name = self.pricing, self.layer.name
        return energy(
            entries,
            pricing.table,
            word_bits=self.hw.word_bits,
            bits=pricing.bits.get(name),
            pruned=pricing.pruned.get(name, 0.0),
            cycles=cycles,
            pes=self.hw.pes,
            dram_bits=bits,
        ).total

    @cached_property
    def bit_weights(self) -> dict[str, Fraction]:
        """Prices of a bit on the link of ifmaps and ofmaps, where these are coded."""
        action = {"ifmap": "dram.ifmap.read", "ofmap": "dram.ofmap.write"}
        return {
            kind: self._energy({action[kind]: 0}, {kind: 1})
            for kind, how in self.coding.items()
            if how != "raw"
        }

    @cached_property
    def weights(self) -> dict[str, Fraction]:
        """Prices of the entries that the mapping decides."""
        coded = dict.fromkeys(self.bit_weights, 0)
        reads = "spad.ifmap.read"
        weights = {
            name: self._energy({name: 1}, coded)
            for name in ENTRIES
            if not name.startswith(("mac.", "spad.ifmap.read", "spad.filter.read"))
        }
        new = self._energy({reads: 1, "spad.ifmap.read_new": 1}) - self._energy({reads: 1})
        return {
            name: price for name, price in (weights | {"spad.ifmap.read_new": new}).items() if price
        }

    @cached_property
    def fixed(self) -> Fraction:
        """The energy of what is the same in every mapping: MACs, and reads for them."""
        macs = self.layer.macs(self.batch)
        gated = gated_macs(macs, self.layer.ifmap_zero_fraction)
        return self._energy(
            {
                "mac.active": macs - gated,
                "mac.gated": gated,
                "spad.ifmap.read": macs,
                "spad.filter.read": macs - gated,
            }
        )

    @cached_property
    def cycle(self) -> Fraction:
        """The price of a cycle of the whole chip."""
        return self._energy({}, cycles=1)

    def energies(
        self,
        counts: MappingABC[str, NDArray[np.int64]],
        bits: MappingABC[str, NDArray[Any]],
        cycles: Numbers,
    ) -> Floats:
        """Return the energy of each mapping; given bounds of counts, bits and cycles, its bound."""
        total = float(self.fixed) + float(self.cycle) * cycles
        for name, price in self.weights.items():
            total = total + float(price) * counts[name]
        for kind, price in self.bit_weights.items():
            total = total + float(price) * bits[kind]
        return np.asarray(total, np.float64)

    def exact(
        self, counts: MappingABC[str, int], bits: MappingABC[str, int], cycles: int
    ) -> Fraction:
        """Return the energy of one mapping, as the ledger has it."""
        return (
            self.fixed
            + self.cycle * cycles
            + sum(price * counts[name] for name, price in self.weights.items())
            + sum(price * bits[kind] for kind, price in self.bit_weights.items())
        )
